package vfstest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"ftps/pkg/vfs"
)

var reading = []promise{
	{"stat tells type, size, time and mode", func(b *bench) {
		before := time.Now().Add(-2 * time.Second)
		b.put("/f", "hello")
		b.mkdir("/d")
		f, d, root := b.stat("/f"), b.stat("/d"), b.stat("/")
		if f.Name != "f" || f.Type != vfs.TypeFile || f.Size != 5 || f.Links < 1 {
			b.Errorf("the file: %+v", f)
		}
		if f.ModTime.Location() != time.UTC || f.ModTime.Before(before) || f.ModTime.After(time.Now().Add(2*time.Second)) {
			b.Errorf("the file's time: %v", f.ModTime)
		}
		if d.Name != "d" || d.Type != vfs.TypeDir || d.Size != 0 {
			b.Errorf("the folder: %+v", d)
		}
		if root.Name != "/" || root.Type != vfs.TypeDir {
			b.Errorf("the root: %+v", root)
		}
		if f.Unique != "" && f.Unique == d.Unique {
			b.Errorf("two objects share the identity %q", f.Unique)
		}
	}},
	{"what is not there does not exist", func(b *bench) {
		_, err := b.Stat(b.Context(), b.at("/none"))
		b.fails(err, fs.ErrNotExist)
		_, err = b.Open(b.Context(), b.at("/none"))
		b.fails(err, fs.ErrNotExist)
		b.fails(b.Remove(b.Context(), b.at("/none")), fs.ErrNotExist)
		b.fails(b.Rmdir(b.Context(), b.at("/none")), fs.ErrNotExist)
		b.fails(b.Mkdir(b.Context(), b.at("/none/d")), fs.ErrNotExist)
		b.fails(b.Rename(b.Context(), b.at("/none"), b.at("/f")), fs.ErrNotExist)
		b.refuses("/none/f", whole, fs.ErrNotExist)
		for _, err := range b.List(b.Context(), b.at("/none")) {
			b.fails(err, fs.ErrNotExist)
		}
	}},
	{"a file is no folder on a path", func(b *bench) {
		b.put("/f", "x")
		_, err := b.Stat(b.Context(), b.at("/f/g"))
		b.fails(err, vfs.ErrNotDir)
		_, err = b.Open(b.Context(), b.at("/f/g"))
		b.fails(err, vfs.ErrNotDir)
		b.fails(b.Mkdir(b.Context(), b.at("/f/g")), vfs.ErrNotDir)
		b.refuses("/f/g", whole, vfs.ErrNotDir)
		entries := 0
		for _, err := range b.List(b.Context(), b.at("/f")) {
			entries++
			b.fails(err, vfs.ErrNotDir)
		}
		if entries != 1 {
			b.Errorf("the error came %d times", entries)
		}
	}},
	{"a folder is not opened as a file", func(b *bench) {
		b.mkdir("/d")
		_, err := b.Open(b.Context(), b.at("/d"))
		b.fails(err, vfs.ErrIsDir)
		_, err = b.Open(b.Context(), b.at("/"))
		b.fails(err, vfs.ErrIsDir)
		b.refuses("/d", whole, vfs.ErrIsDir)
		b.refuses("/", whole, vfs.ErrIsDir)
	}},
	{"an open file reads at any place and keeps its content when it is replaced", func(b *bench) {
		b.put("/f", "old content")
		file, err := b.Open(b.Context(), b.at("/f"))
		if err != nil {
			b.Fatal(err)
		}
		defer file.Close()
		b.put("/f", "new")
		if file.Info().Size != 11 || file.Info().Name != "f" {
			b.Errorf("info: %+v", file.Info())
		}
		if _, err := file.Seek(4, io.SeekStart); err != nil {
			b.Fatal(err)
		}
		if rest, err := io.ReadAll(file); string(rest) != "content" || err != nil {
			b.Errorf("read %q, %v", rest, err)
		}
		var three [3]byte
		if _, err := file.ReadAt(three[:], 0); string(three[:]) != "old" || err != nil {
			b.Errorf("read at 0: %q, %v", three, err)
		}
		b.holds("/f", "new")
	}},
	{"a listing has every entry once and stops when nobody wants more", func(b *bench) {
		b.mkdir("/d")
		var want []string
		for i := range 600 {
			name := fmt.Sprintf("f%03d", i)
			u := b.begin("/d/"+name, whole)
			b.commit(u)
			want = append(want, name)
		}
		b.shows("/d", want...)
		b.shows("/", "d")
		seen := 0
		for _, err := range b.List(b.Context(), b.at("/d")) {
			if err != nil {
				b.Fatal(err)
			}
			if seen++; seen == 3 {
				break
			}
		}
	}},
	{"a hash that the tree knows is that of the file as it is", func(b *bench) {
		for _, content := range []string{"one", "another"} {
			b.put("/f", content)
			sum, length, err := b.Sum(b.Context(), b.at("/f"), "SHA-256")
			want := sha256.Sum256([]byte(content))
			if !errors.Is(err, errors.ErrUnsupported) && (err != nil || length != int64(len(content)) || !bytes.Equal(sum, want[:])) {
				b.Errorf("%x of %d bytes: %v", sum, length, err)
			}
		}
		if err := b.Remove(b.Context(), b.at("/f")); err != nil {
			b.Fatal(err)
		}
		for _, path := range []string{"/", "/f"} {
			if sum, _, err := b.Sum(b.Context(), b.at(path), "SHA-256"); err == nil {
				b.Errorf("%s: %x", path, sum)
			}
		}
	}},
	{"an empty folder lists nothing", func(b *bench) { b.shows("/") }},
	{"names of any bytes and of 255 bytes work", func(b *bench) {
		names := []string{"with space", "ñandú", "日本語", "🙂", "-dash", "%41", "back\\slash", "\xff\xfe", "tab\there", long(1)}
		for _, name := range names {
			b.put("/"+name, name)
			b.holds("/"+name, name)
		}
		b.shows("/", names...)
	}},
	{"a context that is over stops everything", func(b *bench) {
		b.put("/f", "x")
		f := b.at("/f")
		_, err := b.Stat(ended(), f)
		b.fails(err, errOver)
		_, err = b.Open(ended(), f)
		b.fails(err, errOver)
		_, err = b.Create(ended(), f, whole)
		b.fails(err, errOver)
		_, err = b.Part(ended(), f)
		b.fails(err, errOver)
		_, err = b.OpenPart(ended(), f)
		b.fails(err, errOver)
		b.fails(b.Mkdir(ended(), b.at("/d")), errOver)
		b.fails(b.Remove(ended(), f), errOver)
		b.fails(b.Rename(ended(), f, b.at("/g")), errOver)
		listed := error(nil)
		for _, listed = range b.List(ended(), vfs.Name{}) {
		}
		b.fails(listed, errOver)
		u := b.begin("/f", whole)
		b.write(u, "y")
		b.fails(u.Commit(ended()), errOver)
		b.abort(u)
		b.holds("/f", "x")
		b.shows("/", "f")
	}},
}
