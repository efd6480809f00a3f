// Package wall is the last wall round the server: after the start the process
// reaches the folders of its table and nothing else of the file system, and
// gains no privileges, whatever is found in it later. The kernel holds it
// (Landlock, Linux 5.19 and later), for all threads and for every program
// that they start, until the end.
//
// [Shut] builds it, once a process; [Wall.Admits] says whether a path that
// turns up later lies inside.
package wall

import (
	"os"
	"path/filepath"
	"strings"

	"ftps/pkg/fault"
)

// Access is what may be done below a folder.
type Access int

const (
	Read   Access = iota // read files and folders
	Run                  // and start programs
	Tree                 // and write, make, rename and remove; nothing is started
	Socket               // make and remove Unix sockets, and nothing else
	Remove               // remove empty folders, and nothing else
)

// String is the word for the log.
func (a Access) String() string {
	return [...]string{"read", "run", "tree", "socket", "remove"}[a]
}

// Folder is a row of the table. A rule holds for the folder that lies at Path
// now, with all that is ever below it; it is never one on a file, for that is
// bound to the file itself: another one under its name, and every good editor
// makes one, is out of reach.
type Folder struct {
	For    string // what it is needed for, one word for the log
	Path   string // one that is not there is left out
	Access Access
}

// String is the row for the log.
func (f Folder) String() string { return f.For + " " + f.Access.String() + " " + f.Path }

// Mode is the setting.
type Mode string

const (
	None    Mode = ""        // whoever runs the server takes care of it: no wall, no promise of no new privileges
	Off     Mode = "off"     // no new privileges, and no wall
	Auto    Mode = "auto"    // the wall that this kernel has
	Require Mode = "require" // a whole one, or the server does not start
)

// The kernel's Landlock from which on there is a wall (renaming between
// folders, Linux 5.19), and from which on it is whole (truncation, 6.2).
const (
	leastABI = 2
	wholeABI = 3
)

// Wall is one that stands; nil is none.
type Wall struct {
	ABI     int // the kernel's version of Landlock
	Folders []Folder
	inside  []inside
}

type inside struct {
	folder os.FileInfo
	access Access
}

// FolderOf returns the folders of a file: the one in which its name stands,
// and the one in which the file itself lies, if a symlink leads there.
func FolderOf(file string) []string {
	list := []string{filepath.Dir(file)}
	if real, err := filepath.EvalSymlinks(file); err == nil && filepath.Dir(real) != list[0] {
		list = append(list, filepath.Dir(real))
	}
	return list
}

// Shut forbids new privileges and builds the wall round folders. Where mode
// wants none, or Auto finds none in the kernel, it returns nil; why is the
// reason, for the log. After an error there is no wall.
func Shut(mode Mode, folders []Folder) (w *Wall, why, err error) {
	if mode == None {
		return nil, nil, nil
	}
	if err := noNewPrivileges(); err != nil {
		return nil, nil, fault.Wrap(err, "wall.privileges", err)
	}
	if mode == Off {
		return nil, fault.New("wall.off"), nil
	}
	w = &Wall{ABI: ABI()}
	switch why := missing(mode, w.ABI); {
	case why != nil && mode == Require:
		return nil, nil, why
	case why != nil:
		return nil, why, nil
	}
	for _, f := range folders {
		info, err := os.Stat(f.Path)
		if err != nil || !info.IsDir() {
			continue
		}
		w.Folders = append(w.Folders, f)
		w.inside = append(w.inside, inside{info, f.Access})
	}
	if err := restrict(w.Folders); err != nil {
		if mode == Require {
			return nil, nil, fault.Wrap(err, "wall.failed", err)
		}
		return nil, fault.Wrap(err, "wall.failed", err), nil
	}
	return w, nil, nil
}

// Inherited is the wall of the process that started this one, which holds
// here as well and which nothing can widen. It fails if one of the folders
// that are needed lies outside.
func Inherited(abi int, folders, needed []Folder) (*Wall, error) {
	w := &Wall{ABI: abi}
	for _, f := range folders {
		if info, err := os.Stat(f.Path); err == nil && info.IsDir() {
			w.Folders = append(w.Folders, f)
			w.inside = append(w.inside, inside{info, f.Access})
		}
	}
	for _, f := range needed {
		if info, err := os.Stat(f.Path); err == nil && info.IsDir() && !w.Admits(f.Path, f.Access) {
			return nil, fault.New("wall.inherited", f.Path)
		}
	}
	return w, nil
}

// Missing returns why there can be no wall where mode requires one.
func Missing(mode Mode) error {
	if mode != Require {
		return nil
	}
	return missing(mode, ABI())
}

func missing(mode Mode, abi int) error {
	need := leastABI
	if mode == Require {
		need = wholeABI
	}
	if abi < need {
		return fault.New("wall.none", abi, need)
	}
	return nil
}

// Admits reports whether path, or what will be made there, is within reach.
// It looks at what the kernel looks at: the folders themselves above path,
// not their names.
func (w *Wall) Admits(path string, a Access) bool {
	if w == nil {
		return true
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	// What is not there yet will be made below what is.
	for {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			path = real
			break
		}
		up := filepath.Dir(path)
		if up == path {
			return false
		}
		path = up
	}
	for {
		if info, err := os.Stat(path); err == nil && w.has(info, a) {
			return true
		}
		up := filepath.Dir(path)
		if up == path {
			return false
		}
		path = up
	}
}

func (w *Wall) has(info os.FileInfo, a Access) bool {
	for _, in := range w.inside {
		if os.SameFile(in.folder, info) && (in.access == a || a == Read && in.access <= Tree) {
			return true
		}
	}
	return false
}

// Lines are the folders for the log, sorted as given, each once.
func (w *Wall) Lines() string {
	var lines []string
	seen := make(map[string]bool)
	for _, f := range w.Folders {
		if line := f.String(); !seen[line] {
			seen[line] = true
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, ", ")
}
