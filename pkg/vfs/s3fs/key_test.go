package s3fs

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"go.uber.org/goleak"

	"ftps/pkg/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A listing of names and a listing of their times run side by side, so the
// encoded ones must come in the same order, also where one name begins with
// another and where it is cut into components.
func TestEncodedNamesSortAsTheNamesAndComeBack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	letters := []rune("ab!/.-~ñ漢\x7f ")
	name := func() string {
		var b strings.Builder
		for range 1 + random.IntN(180) {
			if r := letters[random.IntN(len(letters))]; r != '/' {
				b.WriteRune(r)
			}
			if random.IntN(12) == 0 {
				break
			}
		}
		return b.String() + "x"
	}
	for range 20_000 {
		a, b := name(), name()
		if random.IntN(3) == 0 {
			b = a + b
		}
		for kind, tail := range map[string]string{hiddenPart: "tail", hiddenTime: timeKey(strings.Repeat("e", 32)+"-10000", time.Unix(1<<33, 0))} {
			if want, got := strings.Compare(a, b), strings.Compare(encode(kind, a), encode(kind, b)); want != got {
				t.Fatalf("%q and %q: %d, encoded %d", a, b, want, got)
			}
			back, rest, ok := decode(encode(kind, a) + tail)
			if !ok || back != a || rest != tail {
				t.Fatalf("%q came back as %q, %q, %v", a, back, rest, ok)
			}
			for part := range strings.SplitSeq(encode(kind, a)+tail, "/") {
				if len(part) > 255 {
					t.Fatalf("%q: a component of %d bytes", a, len(part))
				}
			}
		}
	}
}

func TestNamesThatAStoreCannotHoldAreBadNames(t *testing.T) {
	tree := (&Store{}).Open("bucket", "a/")
	for _, path := range []string{"/\xff", "/a\x01b", "/\ufffe", "/" + strings.Repeat(strings.Repeat("x", 200)+"/", 6)} {
		name, err := vfs.Resolve(vfs.Name{}, path)
		if err != nil {
			continue // it does not even come here
		}
		if _, err := tree.key(name); !errors.Is(err, vfs.ErrBadName) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if name, _ := vfs.Resolve(vfs.Name{}, "/ñ/漢"); true {
		if key, err := tree.key(name); err != nil || key != "a/ñ/漢" {
			t.Errorf("%q, %v", key, err)
		}
	}
}

func TestRecordsAndTimesAreReadFromTheirKeys(t *testing.T) {
	tree := (&Store{}).Open("bucket", "home/")
	name, err := vfs.Resolve(vfs.Name{}, "/d/ñ.txt")
	if err != nil {
		t.Fatal(err)
	}
	part, err := tree.beside(hiddenPart, name)
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := parseRecord(part + "an%2Fid"); !ok || r.target != "home/d/ñ.txt" || r.id != "an/id" {
		t.Errorf("%+v, %v", r, ok)
	}
	if r, ok := parseRecord(part + lone + "x"); !ok || r.id != "" {
		t.Errorf("%+v, %v", r, ok)
	}
	when, err := tree.beside(hiddenTime, name)
	if err != nil {
		t.Fatal(err)
	}
	if file, g, ok := parseTimeKey(when + timeKey("etag", time.Unix(12, 0))); !ok || file != "home/d/ñ.txt" || g.etag != "etag" || g.time.Unix() != 12 {
		t.Errorf("%s, %+v, %v", file, g, ok)
	}
	for _, key := range []string{"home/d/ñ.txt", "home/.ftps-parts", "home/x.ftps-parts/61/!a", "home/.ftps-parts/zz/!a", "home/.ftps-parts/61"} {
		if r, ok := parseRecord(key); ok {
			t.Errorf("%s is a record: %+v", key, r)
		}
	}
}

func TestWhatAStoreAnswersBecomesOneOfOurErrors(t *testing.T) {
	for _, c := range []struct {
		code   string
		status int
		want   error
	}{
		{"NoSuchKey", 404, fs.ErrNotExist}, {"AccessDenied", 403, fs.ErrPermission},
		{"InvalidAccessKeyId", 403, vfs.ErrUnavailable}, {"SignatureDoesNotMatch", 403, vfs.ErrUnavailable},
		{"SlowDown", 503, vfs.ErrUnavailable}, {"InternalError", 500, vfs.ErrUnavailable},
		{"XMinioStorageFull", 507, vfs.ErrNoSpace}, {"PreconditionFailed", 412, vfs.ErrBusy},
		{"KeyTooLongError", 400, vfs.ErrBadName}, {"NotImplemented", 501, errors.ErrUnsupported},
	} {
		err := explain(t.Context(), minio.ErrorResponse{Code: c.code, StatusCode: c.status})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.code, err)
		}
	}
	if err := explain(t.Context(), &net.OpError{Op: "dial", Err: errors.New("refused")}); !errors.Is(err, vfs.ErrUnavailable) {
		t.Error(err)
	}
	gone, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the client left")
	cancel(why)
	if err := explain(gone, errors.New("any")); err != why {
		t.Error(err)
	}
}

func TestAHomeIsABucketAndAPrefix(t *testing.T) {
	for home, want := range map[string][]string{
		"s3://b/": {"b", ""}, "s3://b": {"b", ""}, "s3://b/a/c": {"b", "a/c/"}, "s3://b/a/": {"b", "a/"},
	} {
		if bucket, prefix, ok := ParseHome(home); !ok || !slices.Equal([]string{bucket, prefix}, want) {
			t.Errorf("%s: %s %s %v", home, bucket, prefix, ok)
		}
	}
	if _, _, ok := ParseHome("/srv/s3"); ok {
		t.Error("a folder is a home in a store")
	}
}

// A connection to a store that stands still ends, and one that is slow in
// one direction only does not.
func TestAConnectionThatStandsStillEndsAndASlowOneDoesNot(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			taken <- c
		}
	}()
	conn, err := dialer(time.Second)(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peer := <-taken
	defer peer.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1)) // pending while the request is written
		ended <- err
	}()
	beat := time.NewTicker(20 * time.Millisecond)
	defer beat.Stop()
	for range 100 { // two seconds, twice the patience
		<-beat.C
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatalf("slow: %v", err)
		}
	}
	select {
	case err := <-ended:
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("a silence has no end")
	}
}
