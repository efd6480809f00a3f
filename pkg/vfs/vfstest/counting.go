package vfstest

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"

	"ftps/pkg/vfs"
)

// limit replaces the tree of a bench by its view under a quota.
func (b *bench) limit(bytes int64) *vfs.Quota {
	b.Helper()
	q := vfs.NewQuota(bytes)
	view, err := vfs.Limit(b.Context(), b.FS, q)
	if err != nil {
		b.Fatal(err)
	}
	b.FS = view
	return q
}

// exact demands that the quota counts what is there.
func (b *bench) exact(q *vfs.Quota) {
	b.Helper()
	used, err := b.Used(b.Context())
	if err != nil || used != q.Used() {
		b.Fatalf("the quota counts %d bytes, the tree holds %d (%v)", q.Used(), used, err)
	}
}

var counting = []promise{
	{"what can still be written is told", func(b *bench) {
		left, err := b.Available(b.Context(), vfs.Name{})
		b.optional(err)
		if left <= 0 {
			b.Errorf("available: %d", left)
		}
		b.limit(100)
		b.put("/f", strings.Repeat("x", 30))
		if left, err := b.Available(b.Context(), vfs.Name{}); left != 70 || err != nil {
			b.Errorf("under a quota available: %d, %v", left, err)
		}
	}},
	{"a quota of n bytes takes n and refuses one more", func(b *bench) {
		b.put("/before", "0123")
		q := b.limit(10)
		u := b.begin("/f", whole)
		b.write(u, "012345")
		_, err := u.Write([]byte("6"))
		b.fails(err, vfs.ErrQuota)
		b.commit(u)
		b.holds("/f", "012345")
		if q.Left() != 0 {
			b.Errorf("left: %d", q.Left())
		}
		b.exact(q)
	}},
	{"an overwrite needs room for both files", func(b *bench) {
		q := b.limit(10)
		b.put("/f", "012345")
		u := b.begin("/f", whole)
		b.write(u, "0123")
		_, err := u.Write([]byte("4"))
		b.fails(err, vfs.ErrQuota)
		b.abort(u)
		b.holds("/f", "012345")
		b.exact(q)
		b.put("/f", "0123")
		b.exact(q)
		b.refuses("/f", vfs.How{Size: 7}, vfs.ErrQuota)
		b.put("/f", "543210")
		b.exact(q)
	}},
	{"an append needs room for the copy", func(b *bench) {
		q := b.limit(10)
		b.put("/f", "012345")
		b.refuses("/f", vfs.How{Append: true, Size: -1}, vfs.ErrQuota)
		b.holds("/f", "012345")
		b.shows("/", "f")
		b.exact(q)
		u := b.begin("/f", vfs.How{Offset: 2, Size: -1})
		b.write(u, "xy")
		b.commit(u)
		b.holds("/f", "01xy")
		b.exact(q)
	}},
	{"an announced size that does not fit is refused at once", func(b *bench) {
		q := b.limit(10)
		b.refuses("/f", vfs.How{Size: 11}, vfs.ErrQuota)
		b.part("/f", -1)
		u := b.begin("/f", vfs.How{Size: 10})
		b.write(u, "0123456789")
		b.commit(u)
		b.exact(q)
	}},
	{"parts count in the quota", func(b *bench) {
		q := b.limit(10)
		b.leave("/f", "012345")
		if q.Used() != 6 {
			b.Errorf("used: %d", q.Used())
		}
		u := b.begin("/g", whole)
		_, err := u.Write([]byte("01234"))
		b.fails(err, vfs.ErrQuota)
		b.abort(u)
		u = b.begin("/f", vfs.How{Offset: 3, Size: -1})
		b.write(u, "3456789")
		b.commit(u)
		b.exact(q)
	}},
	{"what is removed makes room", func(b *bench) {
		q := b.limit(10)
		b.mkdir("/d")
		b.put("/d/f", "01234")
		b.leave("/d/g", "01234")
		if err := b.Remove(b.Context(), b.at("/d/f")); err != nil {
			b.Fatal(err)
		}
		b.exact(q)
		if err := b.Rmdir(b.Context(), b.at("/d")); err != nil {
			b.Fatal(err)
		}
		b.exact(q)
		b.put("/f", "0123456789")
	}},
	{"the count stays exact and within the limit whatever happens at once", func(b *bench) {
		const limit, names, workers, rounds = 400, 6, 8, 120
		q := b.limit(limit)
		var running sync.WaitGroup
		for w := range workers {
			running.Go(func() {
				r := rand.New(rand.NewPCG(uint64(w), 7))
				for range rounds {
					if err := disturb(b, r, names); err != nil {
						b.Errorf("worker %d: %v", w, err)
						return
					}
					if used := q.Used(); used < 0 || used > limit {
						b.Errorf("used: %d of %d", used, limit)
						return
					}
				}
			})
		}
		running.Wait()
		b.exact(q)
	}},
}

// disturb does one thing at random and returns an error that may not happen.
func disturb(b *bench, r *rand.Rand, names int) error {
	ctx := b.Context()
	name, _ := vfs.Resolve(vfs.Name{}, fmt.Sprint("f", r.IntN(names)))
	other, _ := vfs.Resolve(vfs.Name{}, fmt.Sprint("f", r.IntN(names)))
	var err error
	switch r.IntN(8) {
	case 0:
		err = b.Remove(ctx, name)
	case 1:
		err = b.Rename(ctx, name, other)
	default:
		how := vfs.How{Size: -1, Append: r.IntN(4) == 0, New: r.IntN(8) == 0}
		if r.IntN(4) == 0 {
			how.Offset = r.Int64N(60)
		}
		var u vfs.Upload
		if u, err = b.Create(ctx, name, how); err != nil {
			break
		}
		defer u.Abort()
		for range r.IntN(4) {
			if _, err = u.Write(make([]byte, r.IntN(50))); err != nil {
				break
			}
		}
		if err == nil && r.IntN(3) > 0 {
			err = u.Commit(ctx)
		}
	}
	for _, expected := range []error{
		nil, vfs.ErrQuota, vfs.ErrOffset, vfs.ErrBusy, fs.ErrNotExist, fs.ErrExist,
	} {
		if errors.Is(err, expected) {
			return nil
		}
	}
	return err
}
