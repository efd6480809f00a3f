// Package watch tells when a file has changed and is still again.
//
// It reads nothing itself: who is told reads the file, under whatever lock
// keeps a reading and what follows from it together.
package watch

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A file has changed once it has been still for stillFor: an editor writes in
// several steps. lookEvery is the net under fsnotify, which sees nothing on
// some network file systems and in some containers.
const (
	stillFor  = 300 * time.Millisecond
	lookEvery = 10 * time.Second
)

// Stamp tells one state of a file from another. The zero Stamp is no state of
// any file.
type Stamp struct {
	seen    bool
	missing bool
	size    int64
	mtime   int64
	mode    fs.FileMode
	inode   uint64
}

// Look returns the stamp of a file as it is now. Taken before the file is
// read, and given to [File], it loses no change.
func Look(path string) Stamp {
	info, err := os.Stat(path)
	if err != nil {
		return Stamp{seen: true, missing: true}
	}
	return Stamp{true, false, info.Size(), info.ModTime().UnixNano(), info.Mode(), inode(info)}
}

// File calls changed whenever the file at path differs from what it was, and
// has been still for 300 ms, until ctx ends. It begins with read, which is how
// the file was when it was last read; with the zero Stamp it calls changed at
// once. changed is called from one goroutine. A file that is gone has changed too. It returns the error of ctx.
func File(ctx context.Context, path string, read Stamp, changed func()) error {
	w := watch{look: func() Stamp { return Look(path) }, changed: changed}
	// Folders are watched, not the file: a rename puts another file in its
	// place. A symlink's own folder and its target's are both asked.
	folders := []string{filepath.Dir(path)}
	if to, err := filepath.EvalSymlinks(path); err == nil && filepath.Dir(to) != folders[0] {
		folders = append(folders, filepath.Dir(to))
	}
	var events chan fsnotify.Event
	if notify, err := fsnotify.NewWatcher(); err == nil {
		defer notify.Close()
		for _, folder := range folders {
			_ = notify.Add(folder) // what cannot be watched is looked at
		}
		events = notify.Events
		go func() {
			for range notify.Errors { // an overflow: the next look finds out
			}
		}()
	}
	return w.run(ctx, read, events)
}

// watch is the part of File that knows no file system.
type watch struct {
	look    func() Stamp
	changed func()
}

func (w watch) run(ctx context.Context, read Stamp, events <-chan fsnotify.Event) error {
	tell := func() {
		read = w.look() // before it is read: a change in between is seen later
		w.changed()
	}
	if read == (Stamp{}) {
		tell()
	}
	still := time.NewTimer(0)
	still.Stop()
	defer still.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	pending := read // the file as it was when the stillness began
	waiting := false
	notice := func() {
		now := w.look()
		if now == read && !waiting || waiting && now == pending {
			return
		}
		pending, waiting = now, true
		still.Reset(stillFor)
	}
	notice() // what changed since it was read may not be still yet
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			notice()
		case <-look.C:
			notice()
		case <-still.C:
			if now := w.look(); now != pending {
				pending = now
				still.Reset(stillFor)
				continue
			}
			waiting = false
			tell()
		}
	}
}
