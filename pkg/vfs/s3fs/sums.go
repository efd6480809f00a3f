package s3fs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
)

// hashed is the SHA-256 of one object, as long as it has that ETag.
type hashed struct {
	etag string
	sum  []byte
}

// sums are the hashes of long objects, of which stores keep none: of those
// that went through this process, and of those whose hash lies beside them.
// Each counts only for its ETag, so that none is ever out of date.
type sums struct {
	mu  sync.Mutex
	all map[string]hashed // by [FS.at]
}

func (s *sums) learn(at, etag string, sum []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= many || s.all == nil {
		s.all = make(map[string]hashed)
	}
	s.all[at] = hashed{etag, sum}
}

// of is the hash of an object, or nil.
func (s *sums) of(at, etag string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.all[at]; h.etag == etag {
		return h.sum
	}
	return nil
}

// inPieces reports that an object of that size may have been stored in
// pieces, and its hash beside it.
func inPieces(size int64) bool { return size >= minPart }

// sumKey is the end of a hash's key: "ETAG!SHA256".
func sumKey(etag string, sum []byte) string { return etag + "!" + hex.EncodeToString(sum) }

// parseSum reads what sumKey wrote.
func parseSum(tail string) (hashed, bool) {
	etag, digits, ok := strings.Cut(tail, "!")
	sum, err := hex.DecodeString(digits)
	return hashed{etag, sum}, ok && err == nil && len(sum) == sha256.Size
}

// keptSum is the SHA-256 of an object in pieces, where it is known or lies
// beside it; else nil.
func (f *FS) keptSum(ctx context.Context, key, etag string, size int64) []byte {
	at := f.at(key)
	if sum := f.store.sums.of(at, etag); sum != nil || !inPieces(size) {
		return sum
	}
	prefix, err := f.besideKey(hiddenSum, key)
	if err != nil {
		return nil
	}
	for o := range f.objects(ctx, prefix, listing{all: true}) {
		if o.Err != nil {
			return nil
		}
		if h, ok := parseSum(o.Key[len(prefix):]); ok && h.etag == etag {
			f.store.sums.learn(at, etag, h.sum)
			return h.sum
		}
	}
	return nil
}

// keepSum lays a hash beside the file that it is of. One that cannot be kept
// is computed when it is asked for.
func (f *FS) keepSum(ctx context.Context, key, etag string, sum []byte) {
	f.store.sums.learn(f.at(key), etag, sum)
	if prefix, err := f.besideKey(hiddenSum, key); err == nil {
		_ = f.putSmall(ctx, prefix+sumKey(etag, sum), nil)
	}
}
