// Package jail keeps an account's tree in a folder of the disk and does not
// let it out.
//
// The first wall is lexical: a [vfs.Name] holds no path that climbs. The
// second is the kernel's: every access goes through an [os.Root], which walks
// the path by descriptors and never follows a symlink out, also while
// somebody swaps folders for links. Nothing in this package builds a path and
// opens it by itself.
//
// # Symlinks
//
// A relative symlink that stays inside is followed. So is an absolute one
// that names a place inside, as the people who work on the machine itself
// expect of a link they made; os.Root refuses those, so the link is read,
// rewritten from the home on, and walked again through os.Root. A link that
// leaves the home leads nowhere: it is listed as a link, can be removed and
// renamed, and whatever else is tried with it is [vfs.ErrEscape]. The target
// of "/x" is the machine's, never the home's.
//
// An upload to a symlink replaces the file it leads to and leaves the link.
//
// # Files on their way
//
// An upload of a new file is written to a part: a hidden file beside it whose
// name is a hash of account and name, short enough for names of 255 bytes.
// An upload over a file is written to a hidden file with a random name. Both
// are locked with flock(2) while they are written, so that a second session,
// in this process or in another, neither goes on from a part in use nor
// sweeps it away. Where flock is missing (Windows) nothing tells a part in
// use from an idle one.
//
// A replaced file keeps its permission bits and, where the process may give
// it, its owner. It is a new file all the same: other hard links to the old
// one keep the old content, and extended attributes are not carried over.
package jail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"ftps/pkg/fault"
	"ftps/pkg/vfs"
)

// Options of a tree. The zero value gives new files the mode 0666.
type Options struct {
	Account string      // to whom parts belong
	Umask   fs.FileMode // taken from 0666 for files and from 0777 for folders
	NoSync  bool        // do not wait for the disk: a crash may lose what was committed
}

// FS is a folder of the disk as an account's tree.
type FS struct {
	root   *os.Root
	homes  []string // the folder's absolute spellings, which absolute links may use
	opts   Options
	quota  *vfs.Quota
	disk   disk
	escape error // what os.Root says to a path that leaves
}

var _ vfs.FS = (*FS)(nil)

// Open opens a folder as a tree.
func Open(dir string, o Options) (*FS, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fault.Wrap(err, "vfs.home.failed", dir, err)
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Wrap(err, "vfs.home.missing", dir)
	case errors.Is(err, fs.ErrPermission):
		return nil, fault.Wrap(err, "vfs.home.denied", dir)
	case err != nil:
		return nil, fault.Wrap(err, "vfs.home.failed", dir, err)
	case !info.IsDir():
		return nil, fault.New("vfs.home.notdir", dir)
	}
	root, err := os.OpenRoot(abs)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fault.Wrap(err, "vfs.home.denied", dir)
	} else if err != nil {
		return nil, fault.Wrap(err, "vfs.home.failed", dir, err)
	}
	homes := []string{abs}
	if real, err := filepath.EvalSymlinks(abs); err == nil && real != abs {
		homes = append(homes, real)
	}
	// Package os does not export the error, so ask for it.
	_, escape := root.Lstat("..")
	return &FS{root: root, homes: homes, opts: o, disk: realDisk(), escape: errors.Unwrap(escape)}, nil
}

// Close releases the folder.
func (f *FS) Close() error { return f.root.Close() }

// Metered implements [vfs.FS].
func (f *FS) Metered(q *vfs.Quota) vfs.FS {
	view := *f
	view.quota = q
	return &view
}

// Used implements [vfs.FS].
func (f *FS) Used(ctx context.Context) (int64, error) {
	var used int64
	err := walk(ctx, f.root, func(_ *os.Root, _ string, info fs.FileInfo) error {
		if info.Mode().IsRegular() {
			used += info.Size()
		}
		return nil
	})
	return used, f.explain(err)
}

// at runs op on the path of name. Where os.Root refuses it, the reason may be
// an absolute link that stays inside: the path is then followed by hand and
// op runs on where it leads. last says whether op follows the last component.
func (f *FS) at(name vfs.Name, last bool, op func(path string) error) error {
	path := name.Relative()
	err := op(path)
	if err != nil && f.escapes(err) {
		followed, ferr := f.follow(path, last)
		if ferr != nil {
			return f.explain(ferr)
		}
		if followed != path {
			err = op(followed)
		}
	}
	return f.explain(err)
}

func (f *FS) escapes(err error) bool { return errors.Is(err, f.escape) }

// folder opens the folder at path. The "/." has os.Root open it with
// O_DIRECTORY; without, a FIFO of that name would block for ever.
func (f *FS) folder(path string) (*os.Root, error) {
	return f.root.OpenRoot(path + "/.")
}

// maxLinks is what Linux allows on one path.
const maxLinks = 40

// follow resolves the symlinks on a path, the last component's too if last is
// set. The last component need not exist. What it returns is a hint: whoever
// uses it goes through os.Root again, so a link that changes meanwhile leads
// elsewhere inside at worst.
func (f *FS) follow(path string, last bool) (string, error) {
	todo := strings.Split(path, "/")
	var done []string
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(done) == 0 {
				return "", vfs.ErrEscape
			}
			done = done[:len(done)-1]
			continue
		}
		if len(todo) == 0 && !last {
			done = append(done, part)
			break
		}
		here := strings.Join(append(done[:len(done):len(done)], part), "/")
		info, err := f.root.Lstat(here)
		if errors.Is(err, fs.ErrNotExist) && len(todo) == 0 {
			done = append(done, part)
			break
		}
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = append(done, part)
			continue
		}
		if links++; links > maxLinks {
			return "", vfs.ErrEscape
		}
		target, err := f.root.Readlink(here)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			inside, ok := f.inside(target)
			if !ok {
				return "", vfs.ErrEscape
			}
			done, target = nil, inside
		}
		todo = append(strings.Split(filepath.ToSlash(target), "/"), todo...)
	}
	if len(done) == 0 {
		return ".", nil
	}
	return strings.Join(done, "/"), nil
}

// inside returns the rest of an absolute path behind the home's own.
func (f *FS) inside(target string) (string, bool) {
	for _, home := range f.homes {
		rest, ok := strings.CutPrefix(target, home)
		if ok && (rest == "" || os.IsPathSeparator(rest[0]) || os.IsPathSeparator(home[len(home)-1])) {
			return rest, true
		}
	}
	return "", false
}

// errnos maps what the kernel says to what the tree says. Some of these are
// fs.ErrExist in the eyes of package errors, so the cause is kept as text.
var errnos = []struct {
	errno syscall.Errno
	err   error
}{
	{syscall.ENOSPC, vfs.ErrNoSpace},
	{syscall.EFBIG, vfs.ErrNoSpace},
	{syscall.EDQUOT, vfs.ErrQuota},
	{syscall.EROFS, vfs.ErrReadOnly},
	{syscall.ELOOP, vfs.ErrEscape},
	{syscall.ENOTEMPTY, vfs.ErrNotEmpty},
	{syscall.ENOTDIR, vfs.ErrNotDir},
	{syscall.EISDIR, vfs.ErrIsDir},
	{syscall.ENAMETOOLONG, vfs.ErrBadName},
	{syscall.EILSEQ, vfs.ErrBadName},
	{syscall.ENXIO, vfs.ErrNotRegular},
	{syscall.EBUSY, vfs.ErrBusy},
	{syscall.EXDEV, errors.ErrUnsupported},
}

func (f *FS) explain(err error) error {
	if err == nil {
		return nil
	}
	if f.escapes(err) {
		return fmt.Errorf("%w: %v", vfs.ErrEscape, err)
	}
	// It was a link when the path was walked, and none when the link was read:
	// somebody has put something else there meanwhile.
	var path *fs.PathError
	if errors.As(err, &path) && path.Op == "readlinkat" && errors.Is(path.Err, syscall.EINVAL) {
		return fmt.Errorf("%w: %v", vfs.ErrBusy, err)
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		for _, e := range errnos {
			if errno == e.errno {
				return fmt.Errorf("%w: %v", e.err, err)
			}
		}
	}
	return err
}
