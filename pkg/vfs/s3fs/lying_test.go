package s3fs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"ftps/pkg/vfs"
)

// lying is a tree in a store that answers as it likes.
func lying(t *testing.T, answer http.HandlerFunc) *FS {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Connect(Options{Endpoint: at, Region: "r", AccessKey: "key", SecretKey: "secret", Attempts: 1, Patience: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.Open("bucket", "home/")
}

// told is one key of a listing.
type told struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
}

func key(name string, size int64) told {
	return told{name, "2026-01-02T03:04:05.000Z", `"e"`, size}
}

// page writes one page of a listing; more is the token of the next.
func page(w io.Writer, more string, keys ...told) {
	fmt.Fprintf(w, `<?xml version="1.0"?><ListBucketResult><Name>bucket</Name><IsTruncated>%v</IsTruncated><NextContinuationToken>%s</NextContinuationToken>`, more != "", more)
	for _, k := range keys {
		b, _ := xml.Marshal(struct {
			XMLName xml.Name `xml:"Contents"`
			told
		}{told: k})
		w.Write(b)
	}
	io.WriteString(w, "</ListBucketResult>")
}

func isListing(r *http.Request) bool { return r.URL.Query().Get("list-type") == "2" }

// each is all that a session may do where the store is asked for a listing.
func each(ctx context.Context, f *FS, name vfs.Name) map[string]error {
	all := make(map[string]error)
	for _, err := range f.List(ctx, name) {
		all["List"] = err
	}
	_, all["Stat"] = f.Stat(ctx, name)
	_, all["Used"] = f.Used(ctx)
	_, all["Part"] = f.Part(ctx, name)
	_, _, all["Sum"] = f.Sum(ctx, name, "SHA-256")
	all["Rename"] = f.Rename(ctx, name, name.Parent())
	all["Rmdir"] = f.Rmdir(ctx, name)
	all["Remove"] = f.Remove(ctx, name)
	_, all["Sweep"] = f.Sweep(ctx, time.Hour)
	all["Chtimes"] = f.Chtimes(ctx, name, time.Unix(1, 0))
	if file, err := f.Open(ctx, name); err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(file, 1<<20))
		all["Open"] = err
		file.Close()
	}
	if up, err := f.Create(ctx, name, vfs.How{Append: true}); err == nil {
		up.Write([]byte("x"))
		up.Abort()
	}
	return all
}

// A key that does not begin with what was asked for was cut at that length,
// on a goroutine without a guard: the process died of it.
func TestAStoreThatListsOtherKeysThanItWasAskedForIsRefused(t *testing.T) {
	for _, name := range []string{"", "h", "elsewhere/x", "/", "..", "home", "hom\u00e9/x"} {
		f := lying(t, func(w http.ResponseWriter, r *http.Request) {
			if isListing(r) {
				page(w, "", key(name, 3))
				return
			}
			w.WriteHeader(http.StatusNotFound)
		})
		for what, err := range each(t.Context(), f, named(t, "/d")) {
			if what == "List" && !errors.Is(err, vfs.ErrUnavailable) {
				t.Errorf("%q: %s: %v", name, what, err)
			}
		}
	}
}

// What the defence is there against: the library passes on whatever it is told.
func TestTheLibraryAloneBelievesWhatAStoreLists(t *testing.T) {
	f := lying(t, func(w http.ResponseWriter, r *http.Request) { page(w, "t", key("h", -5)) })
	plain, err := minio.NewCore(f.store.opts.Endpoint.Host, &minio.Options{Creds: credentials.NewStaticV4("key", "secret", ""), Region: "r"})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for o := range plain.ListObjectsIter(t.Context(), "bucket", minio.ListObjectsOptions{Prefix: "home/d/", Recursive: true}) {
		if o.Err != nil || o.Key != "h" || o.Size != -5 {
			t.Fatalf("%+v", o)
		}
		if n++; n == 300 {
			break
		}
	}
	if n != 300 {
		t.Errorf("it ended after %d", n)
	}
}

func TestSizesThatCannotBeAreRefused(t *testing.T) {
	for _, size := range []int64{-1, -1 << 62, 1<<63 - 1} {
		f := lying(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case isListing(r):
				page(w, "", key("home/d", size), key("home/d/a", size), key("home/d/"+hiddenPart+"/61/!u", size), key("home/"+hiddenPart+"/64/!u", size))
			case r.URL.Query().Has("uploadId"):
				fmt.Fprintf(w, `<ListPartsResult><IsTruncated>true</IsTruncated><Part><PartNumber>1</PartNumber><Size>%d</Size></Part></ListPartsResult>`, size)
			default: // of no told length
				w.Header().Set("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
				w.Header().Set("ETag", `"e"`)
				w.WriteHeader(http.StatusOK)
				w.(http.Flusher).Flush()
			}
		})
		got := each(t.Context(), f, named(t, "/d"))
		for _, what := range []string{"Used", "Stat", "Remove"} {
			if !errors.Is(got[what], vfs.ErrUnavailable) {
				t.Errorf("%d bytes: %s: %v", size, what, got[what])
			}
		}
	}
}

func TestAListingThatNeverEndsIsGivenUp(t *testing.T) {
	n := new(atomic.Int64)
	for what, answer := range map[string]func(w io.Writer, asked int64){
		"nothing, and a token":   func(w io.Writer, asked int64) { page(w, fmt.Sprint(asked)) },
		"the same page for ever": func(w io.Writer, _ int64) { page(w, "t", key("home/d/a", 1)) },
		"truncated, without a token": func(w io.Writer, _ int64) {
			io.WriteString(w, "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>")
		},
	} {
		n.Store(0)
		f := lying(t, func(w http.ResponseWriter, r *http.Request) {
			if isListing(r) {
				answer(w, n.Add(1))
				return
			}
			w.WriteHeader(http.StatusNotFound)
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var last error
		for _, err := range f.List(ctx, named(t, "/d")) {
			last = err
		}
		if last == nil || ctx.Err() != nil || n.Load() > 2*maxBarren {
			t.Errorf("%s: %v after %d requests", what, last, n.Load())
		}
	}
}

func TestAnAnswerThatNeverEndsIsNotHeldInMemory(t *testing.T) {
	for _, begin := range []string{"<ListBucketResult><Name>", "<Error><Message>"} {
		status := http.StatusOK
		if strings.HasPrefix(begin, "<Error") {
			status = http.StatusForbidden
		}
		sent := new(atomic.Int64)
		f := lying(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, begin)
			piece := []byte(strings.Repeat("a", 1<<20))
			for range 256 {
				n, err := w.Write(piece)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := f.Used(t.Context())
		runtime.ReadMemStats(&after)
		if err == nil || sent.Load() > 2*maxAnswer {
			t.Errorf("%s: %v, %d MiB were taken", begin, err, sent.Load()>>20)
		}
	}
}

// What is stored compressed is not unpacked on the way: a thousandth of it
// would fill the memory.
func TestACompressedAnswerIsNotUnpacked(t *testing.T) {
	f := lying(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("it is asked for")
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
		io.WriteString(w, "\x1f\x8b\b\x00as it was stored")
	})
	file, err := f.Open(t.Context(), named(t, "/d"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if b, err := io.ReadAll(file); err != nil || string(b) != "\x1f\x8b\b\x00as it was stored" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestARedirectTakesNeitherTheKeyNorTheSignatureElsewhere(t *testing.T) {
	elsewhere := new(atomic.Int64)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		f := lying(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", other.URL+r.URL.RequestURI())
			w.Header().Set("X-Amz-Bucket-Region", "elsewhere")
			w.WriteHeader(status)
			fmt.Fprintf(w, "<Error><Code>PermanentRedirect</Code><Endpoint>%s</Endpoint></Error>", strings.TrimPrefix(other.URL, "http://"))
		})
		for what, err := range each(t.Context(), f, named(t, "/d")) {
			if err == nil {
				t.Errorf("%d: %s goes well", status, what)
			}
		}
		if err := put1(t, f, "/d"); err == nil {
			t.Errorf("%d: an upload goes well", status)
		}
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("%d requests came to another host", n)
	}
}

func put1(t *testing.T, f *FS, name string) error {
	up, err := f.Create(t.Context(), named(t, name), vfs.How{Size: -1})
	if err != nil {
		return err
	}
	defer up.Abort()
	if _, err := up.Write([]byte("content")); err != nil {
		return err
	}
	return up.Commit(t.Context())
}

// Stored once more: the store says what it has, and it is not what was sent.
func TestAStoreThatTellsAnotherHashThanWasSentConfirmsNothing(t *testing.T) {
	for _, honest := range []bool{true, false} {
		f := lying(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPut:
				sum := r.Header.Get("X-Amz-Checksum-Sha256")
				if !honest {
					sum = strings.Repeat("A", 43) + "="
				}
				w.Header().Set("X-Amz-Checksum-Sha256", sum)
				w.Header().Set("ETag", `"e"`)
			case isListing(r):
				page(w, "")
			default:
				w.WriteHeader(http.StatusNotFound)
			}
		})
		if err := put1(t, f, "/d"); honest != (err == nil) || !honest && !errors.Is(err, vfs.ErrUnavailable) {
			t.Errorf("honest %v: %v", honest, err)
		}
	}
}

// A download broke off and was asked for again; the store minds neither the
// range nor the ETag, and the rest would be of another file.
func TestTheRestOfADownloadIsOfTheSameFileAndFromTheRightByte(t *testing.T) {
	for what, rest := range rests {
		b, err := brokenOff(t, rest, false)
		if rest.want == nil && (err != nil || len(b) != brokenSize) || rest.want != nil && !errors.Is(err, rest.want) {
			t.Errorf("%s: %d bytes, %v", what, len(b), err)
		}
	}
}

func TestWhoBelievesTheStoreSplicesTwoFiles(t *testing.T) {
	for what, rest := range rests {
		if b, err := brokenOff(t, rest, true); err != nil || len(b) != brokenSize {
			t.Errorf("%s: %d bytes, %v", what, len(b), err)
		}
	}
}

const brokenSize = wholeRead + 1000

// rest is how a store answers for the rest of a file.
type rest struct {
	status      int
	etag, begin string
	want        error
}

var rests = map[string]rest{
	"as asked":           {206, `"e"`, "bytes 500-", nil},
	"from the beginning": {200, `"e"`, "", vfs.ErrUnavailable},
	"from elsewhere":     {206, `"e"`, "bytes 0-", vfs.ErrUnavailable},
	"another file":       {206, `"other"`, "bytes 500-", vfs.ErrBusy},
}

// brokenOff reads a file whose answer breaks off after 500 bytes.
func brokenOff(t *testing.T, rest rest, trusting bool) ([]byte, error) {
	f := lying(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
		if isListing(r) {
			page(w, "")
			return
		}
		if r.Header.Get("Range") == "" {
			h.Set("ETag", `"e"`)
			h.Set("Content-Length", fmt.Sprint(brokenSize))
			w.Write(make([]byte, 500))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		h.Set("ETag", rest.etag)
		if rest.begin != "" {
			h.Set("Content-Range", rest.begin+fmt.Sprintf("%d/%d", brokenSize-1, brokenSize))
		}
		h.Set("Content-Length", fmt.Sprint(brokenSize-500))
		w.WriteHeader(rest.status)
		w.Write([]byte(strings.Repeat("r", brokenSize-500)))
	})
	f.store.opts.Attempts, f.store.trusting = 2, trusting
	file, err := f.Open(t.Context(), named(t, "/d"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return io.ReadAll(file)
}

// Names of other programs' objects, and of a program that means harm: none
// leads out of its folder, ends a line early or is taken for a hidden fact.
func TestHostileKeysAreLeftOutOfAListing(t *testing.T) {
	hostile := []string{
		"..", ".", "/", "a/b", "../x", "line\nbreak", "return\rhere", "nul\x00", strings.Repeat("n", 2000),
		hiddenTime + "/x", hiddenPart, strings.ToUpper(hiddenSum), hiddenTime + "/6661!e!9", hiddenTime + "/zz!e!9", hiddenTime + "/!e!9",
		hiddenTime + "/" + encode(hiddenTime, "fair") + "e!99999999999999999999", hiddenSum + "/66616972/!e!zz",
	}
	f := lying(t, func(w http.ResponseWriter, r *http.Request) {
		if !isListing(r) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		prefix := r.URL.Query().Get("prefix")
		var keys []told
		for _, name := range append(hostile, "fair") {
			if full := "home/d/" + name; strings.HasPrefix(full, prefix) {
				k := key("", 1)
				k.Key = url.QueryEscape(full)
				keys = append(keys, k)
			}
		}
		fmt.Fprint(w, "<ListBucketResult><EncodingType>url</EncodingType>")
		for _, k := range keys {
			b, _ := xml.Marshal(struct {
				XMLName xml.Name `xml:"Contents"`
				told
			}{told: k})
			w.Write(b)
		}
		fmt.Fprint(w, "</ListBucketResult>")
	})
	var names []string
	for i, err := range f.List(t.Context(), named(t, "/d")) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, i.Name)
	}
	if len(names) != 1 || names[0] != "fair" {
		t.Errorf("%.200q", names)
	}
}

func TestAPathOfAClientNeverMakesAHostileKey(t *testing.T) {
	f := away(t)
	for _, path := range []string{"/../../x", "/a/../../x", "//x", "/./x", "/" + hiddenTime + "/x", "/a/" + hiddenPart, "/" + strings.Repeat("n/", 600), "/x\x01", "/\xff", "/\ufffe"} {
		name, err := vfs.Resolve(vfs.Name{}, path)
		if err != nil {
			continue
		}
		k, err := f.key(name)
		if err == nil && (!strings.HasPrefix(k, "home/") || strings.Contains(k, "..") || strings.Contains(k, "//") || strings.Contains(k, vfs.Hidden) || len(k) >= maxKey) {
			t.Errorf("%q makes the key %q", path, k)
		}
	}
}

// Over a store under load a listing was empty that should not have been.
func TestAFolderOfWhichNothingIsListedIsAskedForAgain(t *testing.T) {
	for _, folder := range []string{"/", "/d"} {
		var asked atomic.Int64
		f := lying(t, func(w http.ResponseWriter, r *http.Request) {
			prefix := r.URL.Query().Get("prefix")
			switch {
			case !isListing(r):
				w.WriteHeader(http.StatusNotFound)
			case strings.Contains(prefix, hiddenTime) || r.URL.Query().Get("delimiter") == "/" && asked.Add(1) == 1:
				page(w, "")
			default:
				page(w, "", key(prefix+"f", 1))
			}
		})
		f.store.seen.folders.learn(f.at("home/d/"), struct{}{}) // which was believed then
		n := 0
		for i, err := range f.List(t.Context(), named(t, folder)) {
			if err != nil || i.Name != "f" {
				t.Errorf("%s: %v, %v", folder, i, err)
			}
			n++
		}
		if n != 1 {
			t.Errorf("%s: %d names", folder, n)
		}
	}
}

// A store that refuses an object by its name answers before it has read the
// bytes, and versitygw hangs up at once. What was sent in chunks was still
// being written then, and its broken pipe was heard in the place of the answer.
func TestAnObjectGoesInOnePieceSoThatAnEarlyRefusalIsHeard(t *testing.T) {
	type request struct {
		length   int64
		chunked  bool
		encoding string
		hash     string
	}
	var puts []request
	f := lying(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			puts = append(puts, request{r.ContentLength, len(r.TransferEncoding) > 0, r.Header.Get("Content-Encoding"), r.Header.Get("X-Amz-Content-Sha256")})
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	contents := []string{"", "hello"}
	for _, content := range contents {
		if _, _, err := f.putNew(t.Context(), "home/d", []byte(content), time.Time{}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%q: %v", content, err)
		}
		if _, err := f.store.core.PutObjectPart(t.Context(), "bucket", "home/d", "id", 1, strings.NewReader(content), int64(len(content)), f.store.sign([]byte(content))); err == nil {
			t.Errorf("a piece of %q: no error", content)
		}
	}
	if len(puts) != 2*len(contents) {
		t.Fatalf("%d requests", len(puts))
	}
	for i, got := range puts {
		content := contents[i/2]
		sum := sha256.Sum256([]byte(content))
		if want := (request{int64(len(content)), false, "", hex.EncodeToString(sum[:])}); got != want {
			t.Errorf("%q: %+v", content, got)
		}
	}
}
