//go:build unix

package users

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"ftps/pkg/fault"
)

// lock takes the lock on a file of that name, or gives up with ErrLocked when
// ctx ends. The lock file stays: removing it would let two hold the lock, each
// on a file of its own.
func lock(ctx context.Context, name, path string) (release func(), err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fault.Wrap(err, "users.file.nolock", name, reason(err))
	}
	// Made by root beside somebody else's file, or where one will be, it must
	// not lock the owner out.
	if os.Geteuid() == 0 {
		info, err := os.Stat(path)
		if err != nil {
			info, err = os.Stat(filepath.Dir(path))
		}
		if err == nil {
			_ = keepOwner(f, info)
		}
	}
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		// flock has no deadline of its own.
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fault.Wrap(err, "users.file.nolock", name, reason(err))
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			f.Close()
			return nil, fault.Wrap(errors.Join(ErrLocked, ctx.Err()), "users.file.locked", name)
		}
	}
}

// keepOwner gives f the owner and group of was.
func keepOwner(f *os.File, was os.FileInfo) error {
	want, ok := was.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.ErrUnsupported
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if have, ok := info.Sys().(*syscall.Stat_t); ok && have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}
