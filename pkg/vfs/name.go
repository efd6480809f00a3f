package vfs

import (
	"path"
	"strings"
)

// Name is a path in a user's tree: rooted, clean, free of NUL, CR and LF.
// The zero Name is the root. Names compare with ==.
type Name struct {
	p string // "" for the root, else "/a/b"
}

// MaxName and MaxPath bound what a client may name, in bytes: one component
// and the whole path.
const (
	MaxName = 255
	MaxPath = 4096
)

// Hidden is the prefix of the names that belong to the server itself: parts
// and temporary files. No client can name them.
const Hidden = ".ftps-"

// Resolve reads what a client wrote, against its working folder: an absolute
// path or a relative one, with "." and ".." in it. It fails with ErrBadName
// on what no name may hold and with ErrEscape where ".." climbs above the
// root, which the original program refused as well.
func Resolve(cwd Name, arg string) (Name, error) {
	if len(arg) > MaxPath || strings.ContainsAny(arg, "\x00\r\n") {
		return Name{}, ErrBadName
	}
	var parts []string
	if !strings.HasPrefix(arg, "/") && cwd.p != "" {
		parts = strings.Split(cwd.p[1:], "/")
	}
	for part := range strings.SplitSeq(arg, "/") {
		switch {
		case part == "" || part == ".":
		case part == "..":
			if len(parts) == 0 {
				return Name{}, ErrEscape
			}
			parts = parts[:len(parts)-1]
		case len(part) > MaxName || isHidden(part):
			return Name{}, ErrBadName
		default:
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return Name{}, nil
	}
	p := "/" + strings.Join(parts, "/")
	if len(p) > MaxPath {
		return Name{}, ErrBadName
	}
	return Name{p}, nil
}

// Listable reports whether a name found in a folder may be shown: it does not
// belong to the server, and a client could send it. A CR or LF in it would
// end a line of the listing early.
func Listable(base string) bool {
	if base == "" || len(base) > MaxName || isHidden(base) {
		return false
	}
	for i := range len(base) { // of each entry of a listing: strings.ContainsAny takes longer
		switch base[i] {
		case '/', 0, '\r', '\n':
			return false
		}
	}
	return true
}

// isHidden ignores case, since some file systems do.
func isHidden(part string) bool {
	return len(part) >= len(Hidden) && strings.EqualFold(part[:len(Hidden)], Hidden)
}

// String returns the rooted path: "/" or "/a/b".
func (n Name) String() string {
	if n.p == "" {
		return "/"
	}
	return n.p
}

// Relative returns the path as os.Root takes it: "." or "a/b".
func (n Name) Relative() string {
	if n.p == "" {
		return "."
	}
	return n.p[1:]
}

// IsRoot reports whether n is the root.
func (n Name) IsRoot() bool { return n.p == "" }

// Base returns the last component; "/" for the root.
func (n Name) Base() string { return path.Base(n.String()) }

// Parent returns the folder that holds n; the root's is the root.
func (n Name) Parent() Name {
	i := strings.LastIndexByte(n.p, '/')
	if i <= 0 {
		return Name{}
	}
	return Name{n.p[:i]}
}

// Child returns the entry of a listing below n; base must come from an FS.
func (n Name) Child(base string) Name { return Name{n.p + "/" + base} }
