package jail

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"ftps/pkg/vfs"
)

// Hidden files come in two kinds, by prefix. Both names are short whatever
// the name of the file they will become.
const (
	partPrefix = vfs.Hidden + "part-"
	tempPrefix = vfs.Hidden + "tmp-"
)

type kind uint8

const (
	visible kind = iota // also what only looks hidden: nothing of ours
	part
	temporary
)

func kindOf(base string) kind {
	switch {
	case strings.HasPrefix(base, partPrefix):
		return part
	case strings.HasPrefix(base, tempPrefix):
		return temporary
	}
	return visible
}

// partName is the hidden name under which an account's upload of base waits.
func partName(account, base string) string {
	sum := sha256.Sum256([]byte(account + "\x00" + base))
	return partPrefix + hex.EncodeToString(sum[:16])
}

func tempName() string { return tempPrefix + rand.Text() }

// hold opens a hidden file and locks it; ErrBusy where an upload works on it.
func hold(folder *os.Root, base string) (*os.File, error) {
	for range 8 {
		file, err := folder.OpenFile(base, os.O_RDWR|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		ok, err := claim(folder, base, file)
		if ok {
			return file, nil
		}
		file.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, vfs.ErrBusy
}

// create makes a hidden file and locks it. It is private to the process until
// it gets its place.
func create(folder *os.Root, base string) (*os.File, error) {
	file, err := folder.OpenFile(base, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if ok, err := claim(folder, base, file); !ok {
		file.Close()
		if err == nil {
			err = vfs.ErrBusy
		}
		return nil, err
	}
	return file, nil
}

// claim locks an open hidden file and reports whether it still has its name:
// between open and lock its upload may have ended and given it another.
func claim(folder *os.Root, base string, file *os.File) (bool, error) {
	opened, err := file.Stat()
	if err != nil {
		return false, err
	}
	if !opened.Mode().IsRegular() {
		return false, vfs.ErrNotRegular
	}
	if !lock(file) {
		return false, vfs.ErrBusy
	}
	named, err := folder.Lstat(base)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(opened, named), err
}

// Part implements [vfs.FS].
func (f *FS) Part(ctx context.Context, name vfs.Name) (int64, error) {
	var size int64
	err := f.toPart(ctx, name, func(_ *os.Root, _ string, info fs.FileInfo) error {
		size = info.Size()
		return nil
	})
	return size, err
}

// Sum implements [vfs.FS]: a disk keeps no hashes.
func (f *FS) Sum(context.Context, vfs.Name, string) ([]byte, int64, error) {
	return nil, 0, errors.ErrUnsupported
}

// OpenPart implements [vfs.FS].
func (f *FS) OpenPart(ctx context.Context, name vfs.Name) (vfs.File, error) {
	var opened *file
	err := f.toPart(ctx, name, func(folder *os.Root, hidden string, seen fs.FileInfo) error {
		o, err := folder.OpenFile(hidden, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		// What was swapped in since it was looked at is not the part.
		info, err := o.Stat()
		if err == nil && !os.SameFile(seen, info) {
			err = fs.ErrNotExist
		}
		if err != nil {
			o.Close()
			return err
		}
		opened = &file{o, describe(name.Base(), info)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// toPart finds the account's part of what is to have a name, and hands over
// its folder, its hidden name and what it is.
func (f *FS) toPart(ctx context.Context, name vfs.Name, do func(folder *os.Root, hidden string, info fs.FileInfo) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	folder, base, err := f.spot(name)
	if err != nil {
		return f.explain(err)
	}
	defer folder.Close()
	if _, err := folder.Lstat(base); err == nil {
		return fs.ErrNotExist
	}
	hidden := partName(f.opts.Account, base)
	info, err := folder.Lstat(hidden)
	if err != nil {
		return f.explain(err)
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return fs.ErrNotExist
	}
	return f.explain(do(folder, hidden, info))
}

// Swept says what a sweep removed.
type Swept struct {
	Temporaries, Parts int
	Bytes              int64
}

// Sweep removes from a tree what uploads left: temporary files, which only a
// crash leaves, and parts that nobody has written to for olderThan. It spares
// what an upload works on, so it may run at any time; where there are no
// locks it spares every file younger than olderThan. It goes on past a file
// that cannot be removed and returns the first such error.
func Sweep(ctx context.Context, dir string, olderThan time.Duration) (Swept, error) {
	tree, err := Open(dir, Options{})
	if err != nil {
		return Swept{}, err
	}
	defer tree.Close()
	var swept Swept
	var failed error
	err = walk(ctx, tree.root, func(folder *os.Root, base string, info fs.FileInfo) error {
		k := kindOf(base)
		if k == visible || !info.Mode().IsRegular() {
			return nil
		}
		if (k == part || !locks) && time.Since(info.ModTime()) < olderThan {
			return nil
		}
		err := tree.discard(folder, base)
		switch {
		case errors.Is(err, vfs.ErrBusy) || errors.Is(err, fs.ErrNotExist):
		case err != nil:
			if failed == nil {
				failed = tree.explain(err)
			}
		default:
			swept.Bytes += info.Size()
			if k == part {
				swept.Parts++
			} else {
				swept.Temporaries++
			}
		}
		return nil
	})
	if err == nil {
		err = failed
	}
	return swept, err
}
