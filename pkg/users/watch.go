package users

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A file is read again once it has not changed for stillFor: an editor writes
// in several steps. lookEvery is the net under fsnotify, which sees nothing
// on some network file systems and in some containers.
const (
	stillFor  = 300 * time.Millisecond
	lookEvery = 10 * time.Second
)

// Watch loads the file at once and then whenever it has changed and been
// still for 300 ms, until ctx ends. changed is called each time, from one
// goroutine: with the new list, or with an error and the last good list,
// which is empty before there was one. It returns the error of ctx.
func Watch(ctx context.Context, path string, changed func(*List, error)) error {
	w := watch{
		load:    func() (*List, error) { return Load(path) },
		look:    func() any { return stampOf(path) },
		changed: changed,
	}
	// Folders are watched, not the file: a rename puts another file in its
	// place. A symlink's own folder and its target's are both asked.
	folders := []string{filepath.Dir(path)}
	if to, err := target(path); err == nil {
		folders = distinct(filepath.Dir(path), filepath.Dir(to))
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
	return w.run(ctx, events)
}

// watch is the part of Watch that knows no file system.
type watch struct {
	load    func() (*List, error)
	look    func() any // something comparable that differs when the file does
	changed func(*List, error)
}

func (w watch) run(ctx context.Context, events <-chan fsnotify.Event) error {
	good := NewList()
	loaded := w.look()
	reload := func() {
		loaded = w.look() // before reading: a change in between is seen later
		list, err := w.load()
		if err == nil {
			good = list
		}
		w.changed(good, err)
	}
	reload()

	still := time.NewTimer(0)
	still.Stop()
	defer still.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	pending := loaded // the file as it was when the stillness began
	waiting := false
	notice := func() {
		now := w.look()
		if now == loaded && !waiting || waiting && now == pending {
			return
		}
		pending, waiting = now, true
		still.Reset(stillFor)
	}
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
			reload()
		}
	}
}

// stamp is what tells one state of a file from another.
type stamp struct {
	missing bool
	size    int64
	mtime   int64
	mode    os.FileMode
	inode   uint64
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{missing: true}
	}
	return stamp{false, info.Size(), info.ModTime().UnixNano(), info.Mode(), inode(info)}
}
