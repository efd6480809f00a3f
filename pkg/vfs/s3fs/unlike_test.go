//go:build interop

package s3fs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"ftps/pkg/vfs"
)

// What a store does in the place of the promises that it cannot keep, and
// what went wrong over one.

const bucket = "contract"

// fresh returns an empty tree of this test's own.
func fresh(t *testing.T) *FS {
	store := connect(t)
	err := store.core.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{})
	if err != nil && minio.ToErrorResponse(err).Code != "BucketAlreadyOwnedByYou" {
		t.Fatal(err)
	}
	tree := store.Open(bucket, strings.NewReplacer("/", "-", " ", "-", ",", "").Replace(t.Name())+"/")
	empty := func() {
		for o := range tree.objects(context.Background(), tree.prefix, listing{all: true}) {
			tree.forget(context.Background(), o.Key)
		}
		store.seen.forget(tree.at(tree.prefix))
	}
	empty()
	t.Cleanup(empty)
	return tree
}

func put(t *testing.T, tree vfs.FS, path, content string) error {
	u, err := tree.Create(t.Context(), named(t, path), vfs.How{Size: -1})
	if err != nil {
		return err
	}
	defer u.Abort()
	if _, err := u.Write([]byte(content)); err != nil {
		return err
	}
	return u.Commit(t.Context())
}

func read(t *testing.T, tree vfs.FS, path string) string {
	file, err := tree.Open(t.Context(), named(t, path))
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// In the place of "names of any bytes and of 255 bytes work".
func TestNamesThatAreTextOfAnyLanguageAndOf255BytesWork(t *testing.T) {
	tree := fresh(t)
	names := []string{"with space", "ñandú", "日本語", "🙂", "-dash", "%41", "a+b", "a&b=c?d#e", `"quoted"`, "<xml>", "tab\there", strings.Repeat("n", 255), strings.Repeat("ñ", 120)}
	for _, name := range names {
		if err := put(t, tree, "/"+name, name); err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if got := read(t, tree, "/"+name); got != name {
			t.Errorf("%q holds %q", name, got)
		}
	}
	listed := make(map[string]bool)
	for info, err := range tree.List(t.Context(), vfs.Name{}) {
		if err != nil {
			t.Fatal(err)
		}
		listed[info.Name] = true
	}
	for _, name := range names {
		if !listed[name] {
			t.Errorf("%q is not listed", name)
		}
	}
	if len(listed) != len(names) {
		t.Errorf("listed: %v", listed)
	}
	for _, name := range []string{"\xff\xfe", "a\x01b", "\ufffe"} {
		if err := put(t, tree, "/"+name, "x"); !errors.Is(err, vfs.ErrBadName) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// In the place of "a folder that was renamed meanwhile takes its upload with
// it": while this server sends something into a folder it is in use, and what
// another server does to it leaves the upload whole, under its own name.
func TestAFolderIntoWhichSomethingIsSentIsNotRenamedAndTheUploadArrives(t *testing.T) {
	tree := fresh(t)
	if err := tree.Mkdir(t.Context(), named(t, "/d")); err != nil {
		t.Fatal(err)
	}
	u, err := tree.Create(t.Context(), named(t, "/d/f"), vfs.How{Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Abort()
	if _, err := u.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := tree.Rename(t.Context(), named(t, "/d"), named(t, "/e")); !errors.Is(err, vfs.ErrBusy) {
		t.Errorf("by this server: %v", err)
	}
	other := connect(t).Open(tree.bucket, tree.prefix)
	if err := other.Rename(t.Context(), named(t, "/d"), named(t, "/e")); err != nil {
		t.Errorf("by another server: %v", err)
	}
	if err := u.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, tree, "/d/f"); got != "x" {
		t.Errorf("%q", got)
	}
}

// MinIO lists an object that is being replaced as if it were gone: where
// several clients made one folder at once, each replaced the marker of the
// one before, and a file sent into the folder at that moment was refused.
func TestAFolderThatManyMakeAtOnceIsMadeOnceAndIsThereForAll(t *testing.T) {
	tree := fresh(t)
	// A second server, which the first one's turns do not bind.
	trees := []*FS{tree, connect(t).Open(tree.bucket, tree.prefix)}
	for round := range 10 {
		folder := fmt.Sprint("/d", round)
		var made atomic.Int32
		var running sync.WaitGroup
		for i := range 8 {
			running.Go(func() {
				tree := trees[i%2]
				switch err := tree.Mkdir(t.Context(), named(t, folder)); {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, fs.ErrExist):
					t.Errorf("making %s: %v", folder, err)
				}
				if err := put(t, tree, fmt.Sprint(folder, "/f", i), "x"); err != nil {
					t.Errorf("into %s: %v", folder, err)
				}
			})
		}
		running.Wait()
		if made.Load() != 1 {
			t.Errorf("%s was made %d times", folder, made.Load())
		}
	}
}

// A request whose answer is lost is sent again, and then met what it had made
// itself: MKD and STOU said that the name was taken.
func TestWhatWasMadeWhileTheAnswerGotLostIsMade(t *testing.T) {
	tree := fresh(t)
	at, proxy := tree.store.opts, &httputil.ReverseProxy{}
	target := at.Endpoint
	proxy.Rewrite = func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // which is signed
	}
	var lost atomic.Int32
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == "" || lost.Add(1)%2 == 0 {
			proxy.ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}))
	defer between.Close()
	at.Endpoint, _ = url.Parse(between.URL)
	store, err := Connect(at)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	far := store.Open(tree.bucket, tree.prefix)
	if err := far.Mkdir(t.Context(), named(t, "/d")); err != nil {
		t.Errorf("a folder: %v", err)
	}
	u, err := far.Create(t.Context(), named(t, "/d/f"), vfs.How{New: true, Size: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Abort()
	if _, err := u.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := u.Commit(t.Context()); err != nil {
		t.Errorf("a new file: %v", err)
	}
	if lost.Load() != 4 {
		t.Errorf("%d conditional requests, half of them lost", lost.Load())
	}
	if err := far.Mkdir(t.Context(), named(t, "/d")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a folder that is there: %v", err)
	}
}

// What is in the tree is what was sent last, also where the names of one
// folder come and go within the moment for which they are believed.
func TestNamesThatComeAndGoInOneFolderAreNeverMistaken(t *testing.T) {
	tree := fresh(t)
	for i := range 30 {
		name := fmt.Sprint("/f", i%5)
		want := strings.Repeat("x", i)
		switch {
		case i%7 == 3:
			if err := tree.Remove(t.Context(), named(t, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if err := tree.Mkdir(t.Context(), named(t, name)); err != nil {
				t.Fatal(err)
			}
			if err := put(t, tree, name, want); !errors.Is(err, vfs.ErrIsDir) {
				t.Errorf("over a folder: %v", err)
			}
			if err := tree.Rmdir(t.Context(), named(t, name)); err != nil {
				t.Fatal(err)
			}
		default:
			if err := put(t, tree, name, want); err != nil {
				t.Fatal(err)
			}
			if got := read(t, tree, name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
			sum, n, err := tree.Sum(t.Context(), named(t, name), "SHA-256")
			if file, e := tree.Open(t.Context(), named(t, name)); e == nil && err == nil {
				fresh, _ := sumFile(file)
				if !bytes.Equal(sum, fresh) || n != int64(len(want)) {
					t.Errorf("%s: %x of %d bytes", name, sum, n)
				}
				file.Close()
			}
		}
	}
}

func sumFile(r io.Reader) ([]byte, error) {
	h := sha256.New()
	_, err := io.Copy(h, r)
	return h.Sum(nil), err
}

// A rename that failed took back its copies, and with them all else that
// stood in the new folder: what another server had stored there meanwhile,
// and told its client so.
func TestARenameThatFailsTakesBackItsOwnCopiesAlone(t *testing.T) {
	tree := fresh(t)
	for _, name := range []string{"/d/a", "/d/b"} {
		if name == "/d/a" {
			if err := tree.Mkdir(t.Context(), named(t, "/d")); err != nil {
				t.Fatal(err)
			}
		}
		if err := put(t, tree, name, "content of "+name); err != nil {
			t.Fatal(err)
		}
		if err := tree.Chtimes(t.Context(), named(t, name), time.Unix(1_600_000_000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	at, proxy := tree.store.opts, &httputil.ReverseProxy{}
	target := at.Endpoint
	proxy.Rewrite = func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // which is signed
	}
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Copy-Source"), "/d/b") {
			if err := put(t, tree, "/e/others", "stored and told"); err != nil {
				t.Error(err)
			}
			w.WriteHeader(http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer between.Close()
	at.Endpoint, _ = url.Parse(between.URL)
	store, err := Connect(at)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	far := store.Open(tree.bucket, tree.prefix)
	if err := far.Rename(t.Context(), named(t, "/d"), named(t, "/e")); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("the rename: %v", err)
	}
	if got := read(t, tree, "/e/others"); got != "stored and told" {
		t.Errorf("what another server stored: %q", got)
	}
	if got := read(t, tree, "/d/a") + read(t, tree, "/d/b"); got != "content of /d/acontent of /d/b" {
		t.Errorf("the old folder: %q", got)
	}
	for o := range tree.objects(t.Context(), tree.prefix+"e/", listing{all: true}) {
		if o.Err != nil || o.Key != tree.prefix+"e/" && o.Key != tree.prefix+"e/others" {
			t.Errorf("left in the new one: %v %q", o.Err, o.Key)
		}
	}
}

// What one server has stored, or made, another one lists at once, while
// both have much to do in the same folders.
func TestWhatOneServerStoredAnotherListsAtOnce(t *testing.T) {
	tree := fresh(t)
	other := connect(t).Open(tree.bucket, tree.prefix)
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			for i := range 25 {
				folder, from, to := fmt.Sprintf("/%d-%d", w, i), tree, other
				if i%2 == 1 {
					from, to = other, tree
				}
				if i%5 == 0 {
					folder = "" // in the home itself, beside the others
				} else if err := from.Mkdir(t.Context(), named(t, folder)); err != nil {
					t.Errorf("%s: %v", folder, err)
				}
				base := fmt.Sprintf("f%d-%d", w, i)
				if err := put(t, from, folder+"/"+base, "content"); err != nil {
					t.Errorf("%s/%s: %v", folder, base, err)
					return
				}
				found := false
				for entry, err := range to.List(t.Context(), named(t, folder+"/")) {
					if err != nil {
						t.Errorf("%s: %v", folder, err)
					}
					found = found || entry.Name == base
				}
				if !found {
					t.Errorf("%s/%s is stored, and another server does not list it", folder, base)
				}
			}
		})
	}
	workers.Wait()
}
