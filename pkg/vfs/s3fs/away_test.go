package s3fs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/ftptest"
	"ftps/pkg/vfs"
)

// away is a tree in a store that nobody answers for.
func away(t *testing.T) *FS {
	t.Helper()
	s, err := Connect(Options{Endpoint: &url.URL{Scheme: "http", Host: ftptest.Nobody(t)}, Region: "r", AccessKey: "a", SecretKey: "s", Attempts: 1, Patience: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.Open("bucket", "home/")
}

func named(t *testing.T, path string) vfs.Name {
	t.Helper()
	name, err := vfs.Resolve(vfs.Name{}, path)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// calls are all that a session does to a tree.
func calls(t *testing.T, f vfs.FS, name, other vfs.Name) map[string]func(context.Context) error {
	create := func(how vfs.How) func(context.Context) error {
		return func(ctx context.Context) error {
			up, err := f.Create(ctx, name, how)
			if err == nil {
				t.Errorf("%+v: an upload begins", how)
				up.Abort()
			}
			return err
		}
	}
	return map[string]func(context.Context) error{
		"Stat": func(ctx context.Context) error { _, err := f.Stat(ctx, name); return err },
		"List": func(ctx context.Context) error {
			for _, err := range f.List(ctx, name) {
				return err
			}
			return nil
		},
		"Open":   func(ctx context.Context) error { _, err := f.Open(ctx, name); return err },
		"STOR":   create(vfs.How{Size: -1}),
		"REST":   create(vfs.How{Size: -1, Offset: 5}),
		"APPE":   create(vfs.How{Size: -1, Append: true}),
		"STOU":   create(vfs.How{Size: -1, New: true}),
		"Part":   func(ctx context.Context) error { _, err := f.Part(ctx, name); return err },
		"Mkdir":  func(ctx context.Context) error { return f.Mkdir(ctx, name) },
		"Rmdir":  func(ctx context.Context) error { return f.Rmdir(ctx, name) },
		"Remove": func(ctx context.Context) error { return f.Remove(ctx, name) },
		"Rename": func(ctx context.Context) error { return f.Rename(ctx, name, other) },
		"Times":  func(ctx context.Context) error { return f.Chtimes(ctx, name, time.Unix(0, 0)) },
		"Room":   func(ctx context.Context) error { _, err := f.Available(ctx, name); return err },
		"Used":   func(ctx context.Context) error { _, err := f.Used(ctx); return err },
	}
}

// A store that is away is no reason to say that a file is not there, which a
// mirror would believe, and no upload may stay counted: its folder could never
// be removed.
func TestAStoreThatIsAwayIsSaidToBeAndNothingIsHeld(t *testing.T) {
	f := away(t)
	for what, call := range calls(t, f, named(t, "/d/f"), named(t, "/d/g")) {
		if err := call(t.Context()); !errors.Is(err, vfs.ErrUnavailable) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := f.Sweep(t.Context(), 0); !errors.Is(err, vfs.ErrUnavailable) {
		t.Errorf("Sweep: %v", err)
	}
	if err := f.store.Check(t.Context(), "bucket"); !errors.Is(err, vfs.ErrUnavailable) {
		t.Errorf("Check: %v", err)
	}
	if len(f.store.uploads) != 0 || len(f.store.parts) != 0 {
		t.Errorf("held: %v %v", f.store.uploads, f.store.parts)
	}
	if seen := &f.store.seen; seen.objects.knew(f.at("home/d/f")) || seen.folders.knew(f.at("home/d")) || seen.partless.knew(f.at("home/d/")) || seen.names.knew(f.at("home/d/")) {
		t.Error("something is believed that nobody said")
	}
}

func TestWhoHasLeftIsNotServed(t *testing.T) {
	f := away(t)
	why := errors.New("left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	for what, call := range calls(t, f, named(t, "/d/f"), named(t, "/d/g")) {
		if err := call(ctx); !errors.Is(err, why) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Who leaves while his home is counted has not had it counted: his other
// session would fill it anew.
func TestAHomeWhoseCountWasBrokenOffIsNotCounted(t *testing.T) {
	f := away(t)
	why := errors.New("left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	usage := vfs.NewUsage()
	if err := usage.Count(ctx, f); !errors.Is(err, why) {
		t.Errorf("who has left: %v", err)
	}
	if err := usage.Count(t.Context(), f); !errors.Is(err, vfs.ErrUnavailable) {
		t.Errorf("the next one: %v", err)
	}
	// The control: the library says nothing of it.
	for o := range f.store.core.ListObjectsIter(ctx, f.bucket, minio.ListObjectsOptions{Prefix: f.prefix}) {
		t.Errorf("%v: this shows nothing any more", o.Err)
	}
}

// What the name alone decides is refused without a word to the store.
func TestTheRootAndNamesThatAStoreCannotHoldAreNoFiles(t *testing.T) {
	f := away(t)
	root, file := vfs.Name{}, named(t, "/f")
	for what, want := range map[string]error{
		"Open": vfs.ErrIsDir, "STOR": vfs.ErrIsDir, "APPE": vfs.ErrIsDir, "Part": fs.ErrNotExist, "Mkdir": fs.ErrExist,
		"Rmdir": fs.ErrPermission, "Remove": vfs.ErrIsDir, "Rename": fs.ErrPermission, "Times": errors.ErrUnsupported, "Room": nil,
	} {
		if err := calls(t, f, root, file)[what](t.Context()); !errors.Is(err, want) {
			t.Errorf("%s of the root: %v, want %v", what, err, want)
		}
	}
	if err := f.Rename(t.Context(), file, root); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over the root: %v", err)
	}
	long := named(t, "/"+strings.Repeat(strings.Repeat("x", 200)+"/", 5)+strings.Repeat("x", 100))
	for what, call := range calls(t, f, long, file) {
		if err := call(t.Context()); what != "Used" && !errors.Is(err, vfs.ErrBadName) {
			t.Errorf("%s of a name that is too long: %v", what, err)
		}
	}
	if _, err := f.Create(t.Context(), file, vfs.How{Offset: -1}); !errors.Is(err, vfs.ErrOffset) {
		t.Errorf("before the beginning: %v", err)
	}
	if _, err := f.OpenPart(t.Context(), file); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a part: %v", err)
	}
	if err := f.Chmod(t.Context(), file, 0); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a mode: %v", err)
	}
}

// The store goes away under an upload that has begun: no 226, what was counted
// is given back, and its name is free for the next one.
func TestAnUploadWhoseStoreGoesAwayIsNotWholeAndCountsNothing(t *testing.T) {
	for what, size := range map[string]int{"in one piece": 1000, "in several": 12 << 20} {
		quota := vfs.NewQuota(1 << 30)
		f := away(t).Metered(quota).(*FS)
		f.store.seen.partless.learn(f.at("home/"), struct{}{})
		u := begun(f, named(t, "/f"))
		var err error
		for at := 0; at < size && err == nil; at += 1 << 20 {
			_, err = u.Write(make([]byte, min(1<<20, size)))
		}
		if err == nil {
			err = u.Commit(t.Context())
		}
		if !errors.Is(err, vfs.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
		u.Abort()
		if quota.Used() != 0 || len(f.store.uploads) != 0 {
			t.Errorf("%s: %d bytes are counted, %v under way", what, quota.Used(), f.store.uploads)
		}
		if _, err := u.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: after the end: %v", what, err)
		}
		if err := u.Commit(t.Context()); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: after the end: %v", what, err)
		}
	}
}

// begun is an upload of a new file as Create returns it.
func begun(f *FS, name vfs.Name) *upload {
	u := &upload{fs: f, name: name, key: f.prefix + name.Relative(), folder: f.prefix, how: vfs.How{Size: -1}, next: 1,
		turns: make(chan []byte, 1), stop: make(chan struct{})}
	u.turns <- nil
	u.ctx, u.cancel = context.WithCancel(context.Background())
	f.store.enter(f.bucket + "/" + u.folder)
	return u
}

func TestAnUploadOfAnotherLengthThanAnnouncedIsNotWhole(t *testing.T) {
	u := begun(away(t), named(t, "/f"))
	defer u.Abort()
	u.how.Size = 5
	u.how.New = true // leaves no part
	if _, err := u.Write([]byte("four")); err != nil {
		t.Fatal(err)
	}
	if err := u.Commit(t.Context()); !errors.Is(err, vfs.ErrIncomplete) {
		t.Errorf("four bytes of five: %v", err)
	}
}

// A download that breaks off asks again from where it stopped, so often and
// no more, and its end is an error, never an end of file.
func TestADownloadWhoseStoreGoesAwayDoesNotEndWell(t *testing.T) {
	s := away(t)
	ctx, cancel := context.WithCancel(t.Context())
	f := &file{fs: s, key: "home/f", size: 100, etag: "e", ctx: ctx, cancel: cancel, body: io.NopCloser(strings.NewReader("first"))}
	got, err := io.ReadAll(f)
	if string(got) != "first" || !errors.Is(err, vfs.ErrUnavailable) {
		t.Errorf("%q, %v", got, err)
	}
	for _, c := range []struct {
		offset int64
		whence int
		want   int64
	}{{10, io.SeekStart, 10}, {5, io.SeekCurrent, 15}, {-1, io.SeekEnd, 99}} {
		if at, err := f.Seek(c.offset, c.whence); at != c.want || err != nil {
			t.Errorf("%+v: %d, %v", c, at, err)
		}
	}
	if _, err := f.Seek(-1, io.SeekStart); !errors.Is(err, vfs.ErrOffset) {
		t.Errorf("before the beginning: %v", err)
	}
	if n, err := f.ReadAt(make([]byte, 4), 100); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if n, err := f.ReadAt(make([]byte, 4), 98); n != 0 || !errors.Is(err, vfs.ErrUnavailable) {
		t.Errorf("the last two: %d, %v", n, err)
	}
	f.Interrupt()
	s.store.opts.Attempts = 2
	if _, err := f.ReadAt(make([]byte, 4), 0); err == nil {
		t.Error("read after its end")
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestASmallFileIsReadWholeOrNotAtAll(t *testing.T) {
	f := &file{fs: away(t), size: 5, cancel: func() {}, body: io.NopCloser(strings.NewReader("ab"))}
	if err := f.keep(); err == nil {
		t.Error("two bytes of five are a file")
	}
	f = &file{size: 5, cancel: func() {}, body: io.NopCloser(strings.NewReader("abcde"))}
	if err := f.keep(); err != nil {
		t.Fatal(err)
	}
	if at, err := f.Seek(-2, io.SeekEnd); at != 3 || err != nil {
		t.Errorf("%d, %v", at, err)
	}
	if got, err := io.ReadAll(f); string(got) != "de" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// A hash of what was just moved needs no store; any other does.
func TestAHashIsKnownForAMomentAndOfThatFileOnly(t *testing.T) {
	f := away(t)
	f.store.seen.objects.learn(f.at("home/f"), known{etag: "e", size: 5, sum: []byte("sum")})
	if sum, n, err := f.Sum(t.Context(), named(t, "/f"), "SHA-256"); string(sum) != "sum" || n != 5 || err != nil {
		t.Errorf("%q of %d bytes, %v", sum, n, err)
	}
	if _, _, err := f.Sum(t.Context(), named(t, "/f"), "MD5"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("another hash passes for the one that the store keeps: %v", err)
	}
	if _, _, err := f.Sum(t.Context(), named(t, "/g"), "SHA-256"); !errors.Is(err, vfs.ErrUnavailable) {
		t.Errorf("another file: %v", err)
	}
}
