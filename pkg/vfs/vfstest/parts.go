package vfstest

import (
	"io/fs"

	"ftps/pkg/vfs"
)

var parts = []promise{
	{"a new file that breaks stays as a part that nobody sees", func(b *bench) {
		b.leave("/f", "0123456789")
		b.part("/f", 10)
		b.shows("/")
		_, err := b.Stat(b.Context(), b.at("/f"))
		b.fails(err, fs.ErrNotExist)
		_, err = b.Open(b.Context(), b.at("/f"))
		b.fails(err, fs.ErrNotExist)
		b.used(10)
	}},
	{"whoever left a part can read it, also while an upload goes on from it", func(b *bench) {
		b.leave("/f", "01234")
		reads := func(want string) {
			b.Helper()
			file, err := b.OpenPart(b.Context(), b.at("/f"))
			b.optional(err)
			defer file.Close()
			got := make([]byte, len(want))
			if _, err := file.ReadAt(got, 0); err != nil || string(got) != want || file.Info().Size < int64(len(want)) {
				b.Fatalf("the part reads %q (%v) of %d, want %q", got, err, file.Info().Size, want)
			}
		}
		reads("01234")
		u := b.begin("/f", vfs.How{Offset: 5, Size: -1})
		reads("01234")
		b.write(u, "56789")
		b.abort(u)
		reads("0123456789")
		u = b.begin("/f", vfs.How{Offset: 10, Size: -1})
		b.commit(u)
		_, err := b.OpenPart(b.Context(), b.at("/f"))
		b.fails(err, fs.ErrNotExist)
		_, err = b.OpenPart(b.Context(), b.at("/other"))
		b.fails(err, fs.ErrNotExist)
	}},
	{"an upload goes on from its part", func(b *bench) {
		b.leave("/f", "01234")
		u := b.begin("/f", vfs.How{Offset: 5, Size: 10})
		if u.Offset() != 5 {
			b.Fatalf("began at %d", u.Offset())
		}
		b.write(u, "56789")
		b.commit(u)
		b.holds("/f", "0123456789")
		b.part("/f", -1)
		b.shows("/", "f")
		b.used(10)
	}},
	{"an append goes on from the part", func(b *bench) {
		b.leave("/f", "01234")
		u := b.begin("/f", vfs.How{Append: true, Size: -1})
		if u.Offset() != 5 {
			b.Fatalf("began at %d", u.Offset())
		}
		b.write(u, "56789")
		b.commit(u)
		b.holds("/f", "0123456789")
	}},
	{"an offset within the part cuts it there", func(b *bench) {
		b.leave("/f", "0123456789")
		u := b.begin("/f", vfs.How{Offset: 3, Size: -1})
		b.write(u, "x")
		b.abort(u)
		b.part("/f", 4)
		u = b.begin("/f", vfs.How{Append: true, Size: -1})
		b.commit(u)
		b.holds("/f", "012x")
	}},
	{"a part that was whole already needs no more bytes", func(b *bench) {
		b.leave("/f", "0123")
		u := b.begin("/f", vfs.How{Offset: 4, Size: 4})
		b.commit(u)
		b.holds("/f", "0123")
	}},
	{"an offset behind the end of the part is refused and the part stays", func(b *bench) {
		b.leave("/f", "0123")
		b.refuses("/f", vfs.How{Offset: 5, Size: -1}, vfs.ErrOffset)
		b.part("/f", 4)
	}},
	{"an upload from the start replaces the part", func(b *bench) {
		b.leave("/f", "something long")
		b.put("/f", "short")
		b.holds("/f", "short")
		b.part("/f", -1)
		b.used(5)
	}},
	{"an upload that ends before its first byte costs no part", func(b *bench) {
		b.leave("/f", "0123")
		b.abort(b.begin("/f", whole))
		b.part("/f", 4)
		b.abort(b.begin("/f", vfs.How{Offset: 2, Size: -1}))
		b.part("/f", 4)
	}},
	{"an empty part is none", func(b *bench) {
		b.leave("/f", "")
		b.part("/f", -1)
		b.used(0)
	}},
	{"there is no part of a file that is whole", func(b *bench) {
		u := b.begin("/f", whole)
		b.write(u, "a part to be")
		b.put("/f", "whole")
		b.abort(u)
		b.holds("/f", "whole")
		b.part("/f", -1)
		u = b.begin("/f", vfs.How{Offset: 5, Size: -1})
		b.write(u, "!")
		b.commit(u)
		b.holds("/f", "whole!")
	}},
	{"a part from before the file was whole goes with the next upload", func(b *bench) {
		u := b.begin("/f", whole)
		b.write(u, "a part to be")
		b.put("/f", "whole")
		b.abort(u)
		b.put("/f", "anew")
		b.used(4)
		if err := b.Remove(b.Context(), b.at("/f")); err != nil {
			b.Fatal(err)
		}
		b.part("/f", -1)
	}},
	{"of two resumes of one part the second is told that it is in use", func(b *bench) {
		b.leave("/f", "01234")
		first := b.begin("/f", vfs.How{Offset: 5, Size: -1})
		b.refuses("/f", vfs.How{Offset: 5, Size: -1}, vfs.ErrBusy)
		b.refuses("/f", vfs.How{Append: true, Size: -1}, vfs.ErrBusy)
		b.fails(b.Remove(b.Context(), b.at("/f")), vfs.ErrBusy)
		b.write(first, "56789")
		b.abort(first)
		b.part("/f", 10)
		u := b.begin("/f", vfs.How{Offset: 10, Size: -1})
		b.commit(u)
		b.holds("/f", "0123456789")
	}},
	{"while one session has the part another can send the file anew", func(b *bench) {
		b.leave("/f", "01234")
		resumed := b.begin("/f", vfs.How{Offset: 5, Size: -1})
		b.put("/f", "anew")
		b.holds("/f", "anew")
		b.write(resumed, "56789")
		b.commit(resumed)
		b.holds("/f", "0123456789")
		b.used(10)
	}},
	{"the second of two uploads that break becomes the part if the first did not stay", func(b *bench) {
		first, second := b.begin("/f", whole), b.begin("/f", whole)
		b.write(second, "second")
		b.abort(first)
		b.abort(second)
		b.part("/f", 6)
		b.shows("/")
		b.used(6)
	}},
	{"names of 255 bytes have parts of their own", func(b *bench) {
		for n := range 3 {
			b.leave("/"+long(n), long(n)[:n+1])
		}
		for n := range 3 {
			b.part("/"+long(n), int64(n+1))
			u := b.begin("/"+long(n), vfs.How{Append: true, Size: -1})
			b.write(u, "!")
			b.commit(u)
			b.holds("/"+long(n), long(n)[:n+1]+"!")
		}
	}},
	{"removing a name without a file removes its part", func(b *bench) {
		b.leave("/f", "0123")
		if err := b.Remove(b.Context(), b.at("/f")); err != nil {
			b.Fatal(err)
		}
		b.part("/f", -1)
		b.used(0)
	}},
	{"a folder with parts only is removed with them", func(b *bench) {
		b.mkdir("/d")
		b.leave("/d/f", "0123")
		b.leave("/d/g", "0123")
		if err := b.Rmdir(b.Context(), b.at("/d")); err != nil {
			b.Fatal(err)
		}
		b.shows("/")
		b.used(0)
	}},
	{"a folder with a part and a file is not removed and keeps both", func(b *bench) {
		b.mkdir("/d")
		b.leave("/d/f", "0123")
		b.put("/d/g", "x")
		b.fails(b.Rmdir(b.Context(), b.at("/d")), vfs.ErrNotEmpty)
		b.part("/d/f", 4)
		b.holds("/d/g", "x")
	}},
	{"a folder into which something is being sent is in use", func(b *bench) {
		b.mkdir("/d")
		u := b.begin("/d/f", whole)
		b.write(u, "x")
		b.fails(b.Rmdir(b.Context(), b.at("/d")), vfs.ErrBusy)
		b.commit(u)
		b.holds("/d/f", "x")
	}},
	{"parts go with a folder that is renamed", func(b *bench) {
		b.mkdir("/d")
		b.leave("/d/f", "0123")
		if err := b.Rename(b.Context(), b.at("/d"), b.at("/e")); err != nil {
			b.Fatal(err)
		}
		b.part("/e/f", 4)
	}},
}
