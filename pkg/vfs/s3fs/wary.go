package s3fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/minio/minio-go/v7"
)

// What a store says is read like anything else from the net. One that is
// broken, or in strange hands, may spoil what it keeps; it must not bring down
// the server, fill its memory, or have it ask for ever.

var (
	errCircle = errors.New("s3fs: the store's listing goes in circles")
	errLong   = errors.New("s3fs: the store's answer does not end")
)

// maxAnswer bounds an answer that is no object, in bytes: a page of a thousand
// keys, each of a thousand bytes that are escaped, has some 4 MiB.
const maxAnswer = 16 << 20

// maxBarren is how many requests one listing may take without showing a key.
const maxBarren = 100

// wary bounds the answers that the library reads whole into memory, and the
// pages of a listing that shows nothing.
type wary struct{ http.RoundTripper }

func (w wary) RoundTrip(r *http.Request) (*http.Response, error) {
	query := r.URL.Query()
	if w, ok := r.Context().Value(walkKey{}).(*walk); ok {
		if err := w.next(query.Get("continuation-token")); err != nil {
			return nil, err
		}
	}
	answer, err := w.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if object := r.Method == http.MethodGet && len(query) == 0 && answer.StatusCode/100 == 2; !object {
		answer.Body = &bounded{ReadCloser: answer.Body, left: maxAnswer}
	}
	return answer, nil
}

// bounded is the body of an answer that must come to an end.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLong
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// walk is one listing, page by page.
type walk struct {
	token  string
	shown  atomic.Int64 // keys since the token
	barren atomic.Int64 // requests since the last key
}

type walkKey struct{}

// walking returns the context for the requests of one listing.
func walking(ctx context.Context) (context.Context, *walk) {
	w := &walk{}
	return context.WithValue(ctx, walkKey{}, w), w
}

// saw notes that the listing showed a key.
func (w *walk) saw() {
	w.shown.Add(1)
	w.barren.Store(0)
}

// next is called before each request. A page that failed is asked for again
// with the token it had; one that has shown its keys is not.
func (w *walk) next(token string) error {
	if w.barren.Add(1) > maxBarren || token != "" && token == w.token && w.shown.Load() > 0 {
		return errCircle
	}
	if token != w.token {
		w.token = token
		w.shown.Store(0)
	}
	return nil
}

// listed is what is wrong with a key that was listed below a prefix.
func listed(o minio.ObjectInfo, prefix string) error {
	switch {
	case o.Err != nil:
		return o.Err
	case !strings.HasPrefix(o.Key, prefix):
		return fmt.Errorf("s3fs: the store lists %.100q below %q", o.Key, prefix)
	case o.Size < 0:
		return fmt.Errorf("s3fs: the store lists %.100q with %d bytes", o.Key, o.Size)
	}
	return nil
}
