// Package vfs is a user's tree as FTP sees it: names that are clean and
// rooted, the file system behind them, permissions and quota.
//
// [Name] is the first wall of the jail: it is lexical, has one constructor
// ([Resolve]) and cannot hold a path that climbs out. The second wall is the
// implementation's: package jail asks the kernel.
package vfs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"time"
)

// Errors that an [FS] returns, wrapped or bare, beside fs.ErrNotExist,
// fs.ErrExist, fs.ErrPermission and errors.ErrUnsupported. The protocol
// engine turns each into a reply in one table.
var (
	ErrBadName    = errors.New("vfs: name not allowed")
	ErrEscape     = errors.New("vfs: path leaves the root")
	ErrNotDir     = errors.New("vfs: not a folder")
	ErrIsDir      = errors.New("vfs: is a folder")
	ErrNotEmpty   = errors.New("vfs: folder not empty")
	ErrNotRegular = errors.New("vfs: not a regular file")
	ErrNoSpace    = errors.New("vfs: no space left")
	ErrQuota      = errors.New("vfs: quota exceeded")
	ErrReadOnly   = errors.New("vfs: read-only file system")
	ErrOffset     = errors.New("vfs: offset beyond the end of the file")
	ErrBusy       = errors.New("vfs: in use")
	ErrIncomplete = errors.New("vfs: fewer bytes than announced")

	// ErrUnavailable is for a tree elsewhere whose store does not answer.
	ErrUnavailable = errors.New("vfs: the store does not answer")
)

// Type of an entry.
type Type uint8

// The types that FTP tells apart.
const (
	TypeFile Type = iota
	TypeDir
	TypeLink  // a symlink whose target cannot be reached; others show their target's type
	TypeOther // FIFO, socket, device: listed, never opened
)

// Info describes one entry. A symlink inside the tree is followed.
type Info struct {
	Name    string // base name; "/" for the root
	Type    Type
	Size    int64       // bytes; 0 for folders
	ModTime time.Time   // UTC
	Mode    fs.FileMode // permission bits only
	Links   int         // number of hard links, at least 1
	Unique  string      // the same for two names of one object, opaque; "" where unknown
	Owner   string      // numeric or by name, never resolved through the network
	Group   string
}

// File is an open regular file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
	Info() Info // as of the moment it was opened
}

// Interruptible is a [File] or an [Upload] whose bytes travel: reading and
// writing may have to wait for a store that does not answer.
type Interruptible interface {
	// Interrupt ends a Read or Write in progress, and a Commit, soon; later
	// ones fail. It may be called from any goroutine.
	Interrupt()
}

// FS is one account's tree. Its methods may be called from many goroutines.
//
// Every method takes a clean [Name] and follows symlinks that stay inside.
// What the store cannot do answers errors.ErrUnsupported. A context that
// ends stops the work at the next convenient point.
type FS interface {
	// Stat describes what name leads to. A symlink that leads nowhere, or
	// out of the tree, is described itself, as a TypeLink.
	Stat(ctx context.Context, name Name) (Info, error)

	// List yields the entries of a folder in no particular order, without
	// "." and "..", and without the names that are not [Listable]. It
	// streams: a folder of a million entries needs no slice. An error is
	// yielded once, last.
	List(ctx context.Context, folder Name) iter.Seq2[Info, error]

	// Open opens a regular file for reading; it never blocks on a FIFO.
	Open(ctx context.Context, name Name) (File, error)

	// Create begins an upload. Nothing that a reader can see changes before
	// [Upload.Commit], and a part keeps what it holds until the first
	// Write. Create may take its time: it copies what an upload over a whole
	// file goes on from. A part that another upload works on is ErrBusy for
	// one that would go on from it.
	Create(ctx context.Context, name Name, how How) (Upload, error)

	// Part returns the length of the hidden part that a broken upload of a
	// new file left, for the account that left it; fs.ErrNotExist where
	// there is none, where it is empty, or where a whole file has the name.
	Part(ctx context.Context, name Name) (int64, error)

	// OpenPart opens that part for reading, so that whoever left it can have
	// it compared before going on from it; the errors are Part's. What is
	// written to it meanwhile may show or not. A store that cannot read a
	// part back answers errors.ErrUnsupported.
	OpenPart(ctx context.Context, name Name) (File, error)

	// Sum returns the hash of a whole file by one algorithm as HASH names it
	// ("SHA-256"), and its length in bytes, where the tree knows them without
	// reading the file. In every other case it answers an error, mostly
	// errors.ErrUnsupported, and Open tells what is the matter.
	Sum(ctx context.Context, name Name, algorithm string) (sum []byte, length int64, err error)

	Mkdir(ctx context.Context, name Name) error
	Rmdir(ctx context.Context, name Name) error      // parts in it do not count as content and go with it
	Remove(ctx context.Context, name Name) error     // a file, a symlink itself, or the part where there is no file
	Rename(ctx context.Context, from, to Name) error // replaces a file, and nothing where a folder is involved: fs.ErrExist
	Chtimes(ctx context.Context, name Name, mtime time.Time) error
	Chmod(ctx context.Context, name Name, mode fs.FileMode) error

	// Available returns the bytes that may still be written below name.
	Available(ctx context.Context, name Name) (int64, error)

	// Used returns the bytes that the files of the whole tree hold, parts
	// and temporary files included; each name of a file counts. It walks
	// everything.
	Used(ctx context.Context) (int64, error)

	// Metered returns the same tree, whose changes are counted in q and
	// refused where q is full. [Limit] calls it; a wrapper passes it on.
	Metered(q *Quota) FS

	// Close releases the tree; files and uploads of it end on their own.
	Close() error
}

// How an upload begins.
type How struct {
	// Offset is where the first byte goes: 0 replaces the file. Beyond 0 it
	// goes on from the part, or works on a copy of the whole file cut at
	// Offset; past the end of both is ErrOffset.
	Offset int64
	// Append writes at the end of the whole file or of the part, or begins
	// a new file; Offset is then ignored.
	Append bool
	// New fails with fs.ErrExist where the name is taken.
	New bool
	// Size is the length of the whole file if the client announced it, else
	// negative; Commit answers ErrIncomplete when it differs, and a size
	// that does not fit is refused at once.
	Size int64
	// ModTime is the time that the file has once it is whole, as by Chtimes;
	// zero is the moment of Commit. A store that cannot keep it does not
	// fail for that.
	ModTime time.Time
}

// Upload is a file being written. One goroutine uses it.
type Upload interface {
	io.Writer

	// Offset is where writing began: How.Offset, or the length appended to.
	Offset() int64

	// Commit makes the upload the file of that name: synced to the disk,
	// renamed into place, the folder synced. After an error the old file, or
	// none, is what a reader sees, and Abort must still be called.
	Commit(ctx context.Context) error

	// Abort ends an upload that is not whole. A new file stays as a part,
	// unless it is empty; an overwrite leaves the old file and nothing else.
	// After a Commit without error it does nothing, so it may be deferred.
	Abort() error
}
