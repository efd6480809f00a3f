package s3fs

import (
	"context"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"ftps/pkg/vfs"
)

// given is the time that a client gave one file.
type given struct {
	etag string
	time time.Time
	err  error
}

// of returns the file's time: what was given while it had this ETag, else
// when it was stored.
func (g given) of(o object) time.Time {
	if g.etag != "" && g.etag == o.etag {
		return g.time
	}
	return o.time
}

// given asks for the time of one file.
func (f *FS) given(ctx context.Context, name vfs.Name) given {
	prefix, err := f.beside(hiddenTime, name)
	if err != nil {
		return given{} // a name too long for a time has none
	}
	var last given
	for o := range f.objects(ctx, prefix, listing{all: true}) {
		if o.Err != nil {
			return given{err: explain(ctx, o.Err)}
		}
		if g, ok := parseTime(o.Key[len(prefix):]); ok {
			last = g
		}
	}
	return last
}

// timeKey is the end of a time's key: "ETAG!SECONDS".
func timeKey(etag string, mtime time.Time) string {
	return etag + "!" + strconv.FormatInt(mtime.Unix(), 10)
}

// parseTime reads what timeKey wrote.
func parseTime(tail string) (given, bool) {
	etag, seconds, ok := strings.Cut(tail, "!")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if !ok || err != nil {
		return given{}, false
	}
	return given{etag: etag, time: time.Unix(n, 0)}, true
}

// Chtimes implements [vfs.FS]. It costs one small object, not a copy of the
// file. A folder's time is its marker's and cannot be set.
func (f *FS) Chtimes(ctx context.Context, name vfs.Name, mtime time.Time) error {
	if name.IsRoot() {
		return errors.ErrUnsupported
	}
	key, err := f.key(name)
	if err != nil {
		return err
	}
	if k, ok := f.store.seen.objects.knows(f.at(key)); ok {
		timed := k.timed
		k.timed = true
		f.store.seen.objects.learn(f.at(key), k)
		return f.give(ctx, name, k.etag, mtime, timed)
	}
	o, isFile, err := f.kind(ctx, name)
	if err != nil {
		return err
	}
	if !isFile {
		return errors.ErrUnsupported
	}
	return f.give(ctx, name, o.etag, mtime, true)
}

// give keeps a time, and removes others where there may be any.
func (f *FS) give(ctx context.Context, name vfs.Name, etag string, mtime time.Time, others bool) error {
	prefix, err := f.beside(hiddenTime, name)
	if err != nil {
		return errors.ErrUnsupported
	}
	key := prefix + timeKey(etag, mtime)
	if err := f.putSmall(ctx, key, nil); err != nil || !others {
		return err
	}
	return f.removeAll(ctx, prefix, key)
}

// Chmod implements [vfs.FS].
func (f *FS) Chmod(context.Context, vfs.Name, fs.FileMode) error { return errors.ErrUnsupported }

// dated walks the times of a folder beside a walk of its files, in the order
// of their names.
type dated struct {
	next func() (timed, bool)
	stop func()
	at   timed
	more bool
}

// timed is the time of the file of that name.
type timed struct {
	base string
	given
}

// of moves on to a name, which must come after the last one asked for.
func (d *dated) of(base string, o object) (time.Time, error) {
	for d.more && d.at.err == nil && d.at.base < base {
		d.at, d.more = d.next()
	}
	if d.more && d.at.err != nil {
		return time.Time{}, d.at.err
	}
	found := o.time
	for d.more && d.at.err == nil && d.at.base == base {
		if d.at.etag == o.etag {
			found = d.at.time
		}
		d.at, d.more = d.next()
	}
	return found, nil
}

// parseTimeKey reads the whole key of a time: the file's key and its time.
func parseTimeKey(key string) (file string, g given, ok bool) {
	file, tail, ok := hiddenKey(hiddenTime, key)
	if ok {
		g, ok = parseTime(tail)
	}
	return file, g, ok
}
