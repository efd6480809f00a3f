package s3fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/vfs"
)

// given is the time that a client gave one file.
type given struct {
	etag string
	time time.Time
	err  error
}

// of returns the object with its file's time: what was given while it had this
// ETag, else its own, else when it was stored.
func (g given) of(o object) object {
	if g.etag != "" && g.etag == o.etag {
		o.time, o.own, o.told = g.time, false, true
	}
	return o
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

// metaTime is the header in which an object has its file's time from the
// moment on when it is stored; rclone and others write and read the same.
const metaTime = "Mtime"

// withTime returns what an object is stored with: its file's time, if it has one.
func withTime(mtime time.Time) minio.PutObjectOptions {
	o := minio.PutObjectOptions{UserMetadata: make(map[string]string)}
	if !mtime.IsZero() {
		o.UserMetadata[metaTime] = formatSeconds(mtime)
	}
	return o
}

// formatSeconds writes a time as seconds since 1970, with a fraction where it
// has one.
func formatSeconds(t time.Time) string {
	seconds, nanos := t.Unix(), t.Nanosecond()
	if nanos == 0 {
		return strconv.FormatInt(seconds, 10)
	}
	sign := ""
	if seconds < 0 { // Unix rounds down, and the fraction of a number does not
		sign, seconds, nanos = "-", -seconds-1, 1e9-nanos
	}
	return fmt.Sprintf("%s%d.%09d", sign, seconds, nanos)
}

// parseSeconds reads what formatSeconds wrote, or another program.
func parseSeconds(s string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds > latest || seconds < -latest {
		return time.Time{}, false
	}
	nanos := 0
	if fraction != "" {
		fraction = (fraction + "000000000")[:9]
		n, err := strconv.ParseUint(fraction, 10, 32)
		if err != nil {
			return time.Time{}, false
		}
		nanos = int(n)
	}
	if strings.HasPrefix(whole, "-") {
		nanos = -nanos
	}
	return time.Unix(seconds, int64(nanos)).UTC(), true
}

// latest bounds a time to what FTP can tell: four digits of a year.
const latest = 253402300799

// mtimeOf is the time that an object was stored with. Listings of MinIO tell
// it as well, under the header's whole name.
func mtimeOf(o minio.ObjectInfo) (time.Time, bool) {
	for key, value := range o.UserMetadata {
		if strings.EqualFold(strings.TrimPrefix(strings.ToLower(key), "x-amz-meta-"), metaTime) {
			return parseSeconds(value)
		}
	}
	return time.Time{}, false
}

// describe is what the store tells of a key.
func describe(info minio.ObjectInfo) object {
	o := object{size: info.Size, etag: clean(info.ETag), time: info.LastModified}
	if when, ok := mtimeOf(info); ok {
		o.time, o.own = when, true
	}
	return o
}

// dating is the time that an object was stored with, by this process or as it
// was told. It counts for the object that has this ETag and was stored at
// that moment, and for no later one of the same content.
type dating struct {
	etag   string
	stored time.Time
	own    time.Time // zero is none: the file's time is when it was stored
}

// datings are those of the last objects, so that a store which lists no times
// is not asked for each file again and again.
type datings struct {
	mu  sync.Mutex
	all map[string]dating // by [FS.at]
}

// slack is how far the clocks of store and server may be apart.
const slack = 2 * time.Second

func (d *datings) learn(at string, one dating) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.all) >= many || d.all == nil {
		d.all = make(map[string]dating)
	}
	d.all[at] = one
}

func (d *datings) forget(at string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.all, at)
}

// of returns an object of a listing with its own time, where that is known.
func (d *datings) of(at string, o object) (object, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	one, ok := d.all[at]
	if !ok || one.etag != o.etag || o.time.Sub(one.stored).Abs() > slack {
		return o, false
	}
	if !one.own.IsZero() {
		o.time, o.own = one.own, true
	}
	return o, true
}

// removeFacts removes what lies beside a file of that size: its time, and its
// hash.
func (f *FS) removeFacts(ctx context.Context, name vfs.Name, size int64) error {
	kinds := []string{hiddenTime}
	if inPieces(size) {
		kinds = append(kinds, hiddenSum)
	}
	for _, kind := range kinds {
		prefix, err := f.beside(kind, name)
		if err != nil {
			continue
		}
		if err := f.removeAll(ctx, prefix, ""); err != nil {
			return err
		}
	}
	return nil
}

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
func (d *dated) of(base string, o object) (object, error) {
	for d.more && d.at.err == nil && d.at.base < base {
		d.at, d.more = d.next()
	}
	if d.more && d.at.err != nil {
		return object{}, d.at.err
	}
	for d.more && d.at.err == nil && d.at.base == base {
		o = d.at.of(o)
		d.at, d.more = d.next()
	}
	return o, nil
}

// parseTimeKey reads the whole key of a time: the file's key and its time.
func parseTimeKey(key string) (file string, g given, ok bool) {
	file, tail, ok := hiddenKey(hiddenTime, key)
	if ok {
		g, ok = parseTime(tail)
	}
	return file, g, ok
}
