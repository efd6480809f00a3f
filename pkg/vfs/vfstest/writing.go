package vfstest

import (
	"io/fs"
	"strings"
	"sync"
	"time"

	"ftps/pkg/vfs"
)

var writing = []promise{
	{"a new file is absent until it is whole", func(b *bench) {
		u := b.begin("/f", whole)
		b.write(u, "half")
		_, err := b.Stat(b.Context(), b.at("/f"))
		b.fails(err, fs.ErrNotExist)
		_, err = b.Open(b.Context(), b.at("/f"))
		b.fails(err, fs.ErrNotExist)
		b.shows("/")
		b.write(u, " and half")
		b.commit(u)
		b.holds("/f", "half and half")
		b.shows("/", "f")
		b.used(13)
	}},
	{"an empty file is a file", func(b *bench) {
		b.put("/f", "")
		b.holds("/f", "")
	}},
	{"a reader sees the old file until the new one is whole", func(b *bench) {
		b.put("/f", "old")
		u := b.begin("/f", whole)
		b.write(u, "something new")
		b.holds("/f", "old")
		b.shows("/", "f")
		b.commit(u)
		b.holds("/f", "something new")
		b.used(13)
	}},
	{"an overwrite that breaks leaves the old file and nothing else", func(b *bench) {
		b.put("/f", "old")
		b.leave("/f", "something new")
		b.holds("/f", "old")
		b.shows("/", "f")
		b.part("/f", -1)
		b.used(3)
	}},
	{"nothing is written after the end", func(b *bench) {
		u := b.begin("/f", whole)
		b.write(u, "x")
		b.commit(u)
		_, err := u.Write([]byte("y"))
		b.fails(err, fs.ErrClosed)
		b.fails(u.Commit(b.Context()), fs.ErrClosed)
		b.holds("/f", "x")
	}},
	{"append writes behind the file, on a copy", func(b *bench) {
		b.put("/f", "one ")
		u := b.begin("/f", vfs.How{Append: true, Size: -1})
		if u.Offset() != 4 {
			b.Fatalf("append began at %d", u.Offset())
		}
		b.write(u, "two")
		b.holds("/f", "one ")
		b.commit(u)
		b.holds("/f", "one two")
		b.used(7)

		u = b.begin("/f", vfs.How{Append: true, Size: -1})
		b.write(u, " three")
		b.abort(u)
		b.holds("/f", "one two")
		b.used(7)
	}},
	{"a file stored with a time has it, whatever had the name before", func(b *bench) {
		first, second := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), time.Date(1969, 12, 31, 23, 59, 58, 0, time.UTC)
		for _, when := range []time.Time{first, second, first} { // the same content each time
			u := b.begin("/f", vfs.How{Size: -1, ModTime: when})
			b.write(u, "x")
			b.commit(u)
			b.dated("/f", when)
		}
		b.optional(b.Chtimes(b.Context(), b.at("/f"), second))
		b.dated("/f", second)
		b.ok(b.Rename(b.Context(), b.at("/f"), b.at("/g")))
		b.dated("/g", second)
	}},
	{"a file keeps the time that it was stored with under its next name", func(b *bench) {
		for name, when := range map[string]time.Time{"/one": time.Unix(1_000_000_000, 0), "/two": time.Unix(1_100_000_000, 0)} {
			u := b.begin(name, vfs.How{Size: -1, ModTime: when})
			b.write(u, "the same in both")
			b.commit(u)
		}
		b.ok(b.Rename(b.Context(), b.at("/two"), b.at("/one")))
		b.dated("/one", time.Unix(1_100_000_000, 0))
		when := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
		b.mkdir("/d")
		u := b.begin("/d/f", vfs.How{New: true, Size: -1, ModTime: when})
		b.write(u, "x")
		b.commit(u)
		b.ok(b.Rename(b.Context(), b.at("/d/f"), b.at("/d/g")))
		b.dated("/d/g", when)
		b.ok(b.Rename(b.Context(), b.at("/d"), b.at("/e")))
		b.dated("/e/g", when)
	}},
	{"the time of an upload that broke off is not that of the next", func(b *bench) {
		when := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
		for _, how := range []vfs.How{whole, {Size: -1, Append: true}} {
			u := b.begin("/f", vfs.How{Size: -1, ModTime: when})
			b.write(u, "half")
			b.abort(u)
			began := time.Now()
			u = b.begin("/f", how)
			b.write(u, " and half")
			b.commit(u)
			if got := b.stat("/f").ModTime; began.Sub(got) > time.Hour {
				b.Errorf("it has the time %v", got)
			}
			b.ok(b.Remove(b.Context(), b.at("/f")))
		}
	}},
	{"append to nothing begins a file", func(b *bench) {
		u := b.begin("/f", vfs.How{Append: true, Size: -1})
		b.write(u, "x")
		b.commit(u)
		b.holds("/f", "x")
	}},
	{"an offset over a whole file keeps what is before it and drops the rest", func(b *bench) {
		b.put("/f", "0123456789")
		u := b.begin("/f", vfs.How{Offset: 4, Size: -1})
		if u.Offset() != 4 {
			b.Fatalf("began at %d", u.Offset())
		}
		b.write(u, "xy")
		b.holds("/f", "0123456789")
		b.commit(u)
		b.holds("/f", "0123xy")
		b.used(6)
	}},
	{"a large file survives an append", func(b *bench) {
		content := strings.Repeat("0123456789abcdef", 1<<16)
		b.put("/f", content)
		u := b.begin("/f", vfs.How{Append: true, Size: -1})
		b.write(u, "end")
		b.commit(u)
		b.holds("/f", content+"end")
	}},
	{"an offset behind the end is refused", func(b *bench) {
		b.put("/f", "0123")
		b.refuses("/f", vfs.How{Offset: 5, Size: -1}, vfs.ErrOffset)
		b.refuses("/new", vfs.How{Offset: 1, Size: -1}, vfs.ErrOffset)
		b.refuses("/f", vfs.How{Offset: -1, Size: -1}, vfs.ErrOffset)
		b.holds("/f", "0123")
		b.shows("/", "f")
		b.used(4)
	}},
	{"an upload that must be new refuses a name that is taken", func(b *bench) {
		b.put("/f", "old")
		b.mkdir("/d")
		b.refuses("/f", vfs.How{New: true, Size: -1}, fs.ErrExist)
		b.refuses("/d", vfs.How{New: true, Size: -1}, fs.ErrExist)
		b.refuses("/g", vfs.How{New: true, Offset: 1, Size: -1}, vfs.ErrOffset)
	}},
	{"of two uploads that must be new only one gets the name", func(b *bench) {
		first := b.begin("/f", vfs.How{New: true, Size: -1})
		second := b.begin("/f", vfs.How{New: true, Size: -1})
		b.write(first, "first")
		b.write(second, "the second")
		b.commit(first)
		b.fails(second.Commit(b.Context()), fs.ErrExist)
		b.abort(second)
		b.holds("/f", "first")
		b.shows("/", "f")
		b.used(5)
	}},
	{"fewer or more bytes than announced are not committed", func(b *bench) {
		b.put("/f", "old")
		for _, content := range []string{"123", "12345"} {
			u := b.begin("/f", vfs.How{Size: 4})
			b.write(u, content)
			b.fails(u.Commit(b.Context()), vfs.ErrIncomplete)
			b.abort(u)
			b.holds("/f", "old")
		}
		u := b.begin("/f", vfs.How{Size: 4})
		b.write(u, "1234")
		b.commit(u)
		b.holds("/f", "1234")
	}},
	{"files are 0666 and folders 0777 less the umask", func(b *bench) {
		b.put("/f", "x")
		b.mkdir("/d")
		b.optional(b.Chmod(b.Context(), b.at("/f"), b.stat("/f").Mode))
		if mode := b.stat("/f").Mode; mode != 0o666&^Umask {
			b.Errorf("a new file has the mode %#o", mode)
		}
		if mode := b.stat("/d").Mode; mode != 0o777&^Umask {
			b.Errorf("a new folder has the mode %#o", mode)
		}
	}},
	{"a resumed file has the mode of a new one", func(b *bench) {
		b.leave("/f", "one ")
		u := b.begin("/f", vfs.How{Append: true, Size: -1})
		b.write(u, "two")
		b.commit(u)
		b.optional(b.Chmod(b.Context(), b.at("/f"), b.stat("/f").Mode))
		if mode := b.stat("/f").Mode; mode != 0o666&^Umask {
			b.Errorf("the file has the mode %#o", mode)
		}
	}},
	{"an overwrite keeps the mode", func(b *bench) {
		b.put("/f", "old")
		b.optional(b.Chmod(b.Context(), b.at("/f"), 0o604))
		b.put("/f", "new")
		if mode := b.stat("/f").Mode; mode != 0o604 {
			b.Errorf("the mode became %#o", mode)
		}
		u := b.begin("/f", vfs.How{Append: true, Size: -1})
		b.commit(u)
		if mode := b.stat("/f").Mode; mode != 0o604 {
			b.Errorf("after an append the mode became %#o", mode)
		}
	}},
	{"of two uploads of a file the last to be whole wins", func(b *bench) {
		for _, name := range []string{"/new", "/old"} {
			if name == "/old" {
				b.put(name, "old")
			}
			first, second := b.begin(name, whole), b.begin(name, whole)
			for range 3 {
				b.write(first, "first ")
				b.write(second, "second ")
			}
			b.commit(second)
			b.holds(name, "second second second ")
			b.commit(first)
			b.holds(name, "first first first ")
		}
		b.shows("/", "new", "old")
		b.used(36)
	}},
	{"many uploads of one file at once leave one of them whole", func(b *bench) {
		const writers = 16
		name := b.at("/f")
		contents := make(map[string]bool)
		var running sync.WaitGroup
		for i := range writers {
			content := strings.Repeat(string(rune('a'+i)), 10000+i)
			contents[content] = true
			running.Go(func() {
				for range 5 {
					u, err := b.Create(b.Context(), name, whole)
					if err != nil {
						b.Errorf("create: %v", err)
						return
					}
					_, err = u.Write([]byte(content[:5000]))
					if err == nil {
						_, err = u.Write([]byte(content[5000:]))
					}
					if err == nil {
						err = u.Commit(b.Context())
					}
					if err != nil {
						b.Errorf("upload: %v", err)
					}
					u.Abort()
				}
			})
		}
		running.Wait()
		content := b.read("/f")
		if !contents[content] {
			b.Errorf("the file is none of those sent: %d bytes", len(content))
		}
		b.shows("/", "f")
		b.used(int64(len(content)))
	}},
	{"a folder that was renamed meanwhile takes its upload with it", func(b *bench) {
		b.mkdir("/d")
		u := b.begin("/d/f", whole)
		b.write(u, "x")
		if err := b.Rename(b.Context(), b.at("/d"), b.at("/e")); err != nil {
			b.Fatal(err)
		}
		if err := u.Commit(b.Context()); err != nil {
			b.Skipf("not supported: %v", err) // object storage has no folders
		}
		b.holds("/e/f", "x")
	}},
}
