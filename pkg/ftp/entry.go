package ftp

import (
	"io/fs"
	"time"
)

// EntryType tells entries of a listing apart.
type EntryType uint8

// The types of entries.
const (
	File       EntryType = iota
	Dir                  // a folder
	Link                 // a symlink
	Other                // a device, a socket, or what nobody knows
	CurrentDir           // the listed folder itself, "."
	ParentDir            // its parent, ".."
)

// Entry is what a listing says of one file or folder.
type Entry struct {
	Name    string // as it came; see CheckName and Sanitise
	Type    EntryType
	Size    int64     // bytes; -1 unknown
	ModTime time.Time // UTC; zero unknown
	Created time.Time // UTC; zero unknown
	Precise bool      // ModTime is to the second, and in UTC for certain
	Day     bool      // ModTime is a mere date, as LIST has it for old files
	Perm    string    // the perm fact (RFC 3659 §7.5.5): what this user may do
	Mode    fs.FileMode
	HasMode bool // Mode, permission bits only, is known
	Unique  string
	Owner   string
	Group   string
	Links   int
	Target  string // where a symlink leads, if the listing says so
}
