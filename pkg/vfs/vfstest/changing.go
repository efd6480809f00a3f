package vfstest

import (
	"io/fs"
	"time"

	"ftps/pkg/vfs"
)

var changing = []promise{
	{"a folder is made once", func(b *bench) {
		b.mkdir("/d")
		b.mkdir("/d/e")
		b.shows("/", "d")
		b.shows("/d", "e")
		b.put("/f", "x")
		for _, name := range []string{"/d", "/f", "/"} {
			b.fails(b.Mkdir(b.Context(), b.at(name)), fs.ErrExist)
		}
	}},
	{"only an empty folder is removed", func(b *bench) {
		b.mkdir("/d")
		b.mkdir("/d/e")
		b.fails(b.Rmdir(b.Context(), b.at("/d")), vfs.ErrNotEmpty)
		for _, name := range []string{"/d/e", "/d"} {
			if err := b.Rmdir(b.Context(), b.at(name)); err != nil {
				b.Fatal(err)
			}
		}
		b.shows("/")
	}},
	{"a file is not removed as a folder, nor a folder as a file", func(b *bench) {
		b.mkdir("/d")
		b.put("/f", "x")
		b.fails(b.Rmdir(b.Context(), b.at("/f")), vfs.ErrNotDir)
		b.fails(b.Remove(b.Context(), b.at("/d")), vfs.ErrIsDir)
		b.shows("/", "d", "f")
	}},
	{"the root stays", func(b *bench) {
		b.mkdir("/d")
		root := vfs.Name{}
		b.fails(b.Rmdir(b.Context(), root), fs.ErrPermission)
		b.fails(b.Remove(b.Context(), root), vfs.ErrIsDir)
		b.fails(b.Rename(b.Context(), root, b.at("/e")), fs.ErrPermission)
		b.fails(b.Rename(b.Context(), b.at("/d"), root), fs.ErrExist)
		b.shows("/", "d")
	}},
	{"a removed file is gone, also from the count", func(b *bench) {
		b.put("/f", "0123")
		if err := b.Remove(b.Context(), b.at("/f")); err != nil {
			b.Fatal(err)
		}
		b.shows("/")
		b.used(0)
	}},
	{"rename moves a file and replaces a file", func(b *bench) {
		b.mkdir("/d")
		b.put("/f", "0123")
		b.put("/d/g", "old")
		if err := b.Rename(b.Context(), b.at("/f"), b.at("/d/g")); err != nil {
			b.Fatal(err)
		}
		b.shows("/", "d")
		b.holds("/d/g", "0123")
		b.used(4)
	}},
	{"rename to the same name changes nothing", func(b *bench) {
		b.put("/f", "x")
		if err := b.Rename(b.Context(), b.at("/f"), b.at("/f")); err != nil {
			b.Fatal(err)
		}
		b.holds("/f", "x")
	}},
	{"rename moves a folder with what is in it", func(b *bench) {
		b.mkdir("/d")
		b.put("/d/f", "x")
		if err := b.Rename(b.Context(), b.at("/d"), b.at("/e")); err != nil {
			b.Fatal(err)
		}
		b.shows("/", "e")
		b.holds("/e/f", "x")
	}},
	{"rename does not replace a folder, nor a file by a folder", func(b *bench) {
		b.mkdir("/d")
		b.mkdir("/e")
		b.put("/f", "x")
		b.fails(b.Rename(b.Context(), b.at("/f"), b.at("/d")), fs.ErrExist)
		b.fails(b.Rename(b.Context(), b.at("/d"), b.at("/e")), fs.ErrExist)
		b.fails(b.Rename(b.Context(), b.at("/d"), b.at("/f")), fs.ErrExist)
		b.shows("/", "d", "e", "f")
	}},
	{"a folder is not renamed into itself", func(b *bench) {
		b.mkdir("/d")
		b.fails(b.Rename(b.Context(), b.at("/d"), b.at("/d/e")), vfs.ErrBadName)
		b.shows("/", "d")
	}},
	{"the time of a file and of a folder can be set", func(b *bench) {
		when := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
		b.put("/f", "x")
		b.mkdir("/d")
		for _, name := range []string{"/f", "/d"} {
			b.optional(b.Chtimes(b.Context(), b.at(name), when))
			if got := b.stat(name).ModTime; !got.Equal(when) {
				b.Errorf("the time of %s is %v", name, got)
			}
		}
		b.fails(b.Chtimes(b.Context(), b.at("/none"), when), fs.ErrNotExist)
	}},
	{"chmod sets permission bits and no others", func(b *bench) {
		b.put("/f", "x")
		b.optional(b.Chmod(b.Context(), b.at("/f"), 0o640|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky))
		if mode := b.stat("/f").Mode; mode != 0o640 {
			b.Errorf("the mode is %v", mode)
		}
	}},
}
