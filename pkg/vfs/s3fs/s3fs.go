// Package s3fs is a user's tree in an object store that speaks S3.
//
// # How a tree is laid out
//
// A file is the object of its path below the account's prefix. A folder is
// an empty object whose key ends in "/", as other programs make it; one that
// only its files imply is a folder as well. Three things that S3 has no place
// for lie in hidden keys beside the files, which no client can name:
//
//	dir/.ftps-times/HEX!ETAG!SECONDS    the time that a client gave a file that was there
//	dir/.ftps-sums/HEX/!ETAG!SHA256     the hash of a file that was stored in pieces
//	dir/.ftps-parts/HEX/!UPLOAD         an upload under way, or broken: its last bytes
//
// HEX is the file's name in hexadecimal, which sorts as the names do, so that
// a listing of a folder and a listing of its times run side by side in
// constant memory. A time counts only while the file still has that ETag:
// who replaces the file by other means replaces its time too.
//
// # What a store cannot do
//
// There are no modes, owners or links: Chmod answers errors.ErrUnsupported.
// A rename is a copy within the store and a removal; that of a folder goes
// object by object and is refused beyond [Options.MaxRename] of them. A file
// that is replaced while somebody reads it fails for that reader
// ([vfs.ErrBusy]) unless it is small enough to have been read at once. A
// broken upload goes on where its part ends; within the part it can be cut
// only in the bytes that the store does not hold yet.
package s3fs

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"ftps/pkg/vfs"
)

// Options of a [Store].
type Options struct {
	Endpoint  *url.URL // https://host[:port], or http:// for a store on a trusted wire
	Region    string   // "" asks the store
	AccessKey string
	SecretKey string
	TLS       *tls.Config // nil trusts the system's authorities

	// PartSize is how much of a long upload is collected and sent in one
	// piece, in bytes; 0 is 8 MiB, the least that stores take is 5 MiB.
	// Parallel is how many pieces of one upload travel at once; 0 is 4.
	PartSize int
	Parallel int

	// MaxRename is how many objects a renamed folder may hold; 0 is 10,000.
	MaxRename int

	// Patience is how long a connection to the store may stand still; 0 is 20 s.
	Patience time.Duration

	// Attempts is how often a request is tried in all; 0 is 3.
	Attempts int
}

// Sizes that S3 sets (or that follow from it).
const (
	minPart    = 5 << 20   // of a multipart upload, but for the last
	maxParts   = 10_000    // of a multipart upload
	maxKey     = 1024      // bytes
	maxCopy    = 256 << 20 // bytes in one server-side copy; S3 takes 5 GiB
	wholeRead  = 1 << 20   // files up to this size are read when they are opened
	hiddenPart = vfs.Hidden + "parts"
	hiddenTime = vfs.Hidden + "times"
	hiddenSum  = vfs.Hidden + "sums"
)

// Store is a connection to one object store. Trees are opened in it.
type Store struct {
	core minio.Core
	opts Options
	http *http.Transport
	seen seen
	sums sums

	datings  datings
	metaless atomic.Bool // lists no metadata, and minds being asked
	turn     turns       // of those that change one file or folder

	trusting bool // set by tests alone: the rest of a file is whatever comes

	mu      sync.Mutex
	held    map[string]bool // folders that are being renamed or removed
	uploads map[string]int  // under way in this process, by the prefix of their folder
	parts   map[string]bool // records that an upload of this process works on
}

// Connect prepares a store; it sends nothing yet.
func Connect(o Options) (*Store, error) {
	o.PartSize = max(minPart, cmp.Or(o.PartSize, 8<<20))
	o.Parallel = cmp.Or(o.Parallel, 4)
	o.MaxRename = cmp.Or(o.MaxRename, 10_000)
	o.Attempts = cmp.Or(o.Attempts, 3)
	o.Patience = cmp.Or(o.Patience, 20*time.Second)
	transport, err := minio.DefaultTransport(o.Endpoint.Scheme == "https")
	if err != nil {
		return nil, fmt.Errorf("s3fs: %w", err)
	}
	if o.TLS != nil {
		transport.TLSClientConfig = o.TLS.Clone()
	}
	transport.MaxIdleConnsPerHost = 256
	transport.MaxIdleConns = 512
	transport.ResponseHeaderTimeout = 0 // the connection itself minds silence
	transport.DialContext = dialer(o.Patience)
	transport.IdleConnTimeout = o.Patience / 2 // before its deadline ends it
	transport.WriteBufferSize, transport.ReadBufferSize = 64<<10, 64<<10
	transport.DisableCompression = true
	core, err := minio.NewCore(o.Endpoint.Host, &minio.Options{
		Creds:      credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""),
		Secure:     o.Endpoint.Scheme == "https",
		Region:     o.Region,
		Transport:  wary{transport},
		MaxRetries: o.Attempts,
	})
	if err != nil {
		return nil, fmt.Errorf("s3fs: endpoint %s: %w", o.Endpoint.Redacted(), err)
	}
	return &Store{
		core: *core, opts: o, http: transport, held: make(map[string]bool),
		uploads: make(map[string]int), parts: make(map[string]bool),
	}, nil
}

// Endpoint is the store's address, for people.
func (s *Store) Endpoint() string { return s.opts.Endpoint.Redacted() }

// Close gives back idle connections.
func (s *Store) Close() { s.http.CloseIdleConnections() }

// Check asks whether the bucket is there and the credentials admit to it.
func (s *Store) Check(ctx context.Context, bucket string) error {
	ok, err := s.core.BucketExists(ctx, bucket)
	if err != nil {
		return explain(ctx, err)
	}
	if !ok {
		return fmt.Errorf("s3fs: bucket %s: %w", bucket, fs.ErrNotExist)
	}
	return nil
}

// FS is one account's tree.
type FS struct {
	store  *Store
	bucket string
	prefix string // "" or "a/b/"
	quota  *vfs.Quota
}

var _ vfs.FS = (*FS)(nil)

// ParseHome splits a home, s3://bucket/prefix/.
func ParseHome(home string) (bucket, prefix string, ok bool) {
	rest, ok := strings.CutPrefix(home, "s3://")
	if !ok {
		return "", "", false
	}
	bucket, prefix, _ = strings.Cut(rest, "/")
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return bucket, prefix, bucket != ""
}

// Open returns the tree below a prefix of a bucket; it sends nothing yet.
func (s *Store) Open(bucket, prefix string) *FS {
	return &FS{store: s, bucket: bucket, prefix: prefix}
}

// Metered implements [vfs.FS].
func (f *FS) Metered(q *vfs.Quota) vfs.FS {
	view := *f
	view.quota = q
	return &view
}

// Close implements [vfs.FS].
func (f *FS) Close() error { return nil }

// explain turns what the store answered into the errors of [vfs].
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return fmt.Errorf("%w: %w", vfs.ErrUnavailable, err)
	}
	if kind, ok := answers[answer.Code]; ok {
		return fmt.Errorf("%w: %s", kind, answer.Code)
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		return fs.ErrNotExist
	case http.StatusForbidden, http.StatusUnauthorized:
		return fmt.Errorf("%w: %s", fs.ErrPermission, answer.Code)
	case http.StatusInsufficientStorage:
		return vfs.ErrNoSpace
	case http.StatusPreconditionFailed:
		return vfs.ErrBusy
	case http.StatusNotImplemented:
		return errors.ErrUnsupported
	}
	return fmt.Errorf("%w: %w", vfs.ErrUnavailable, err)
}

// answers are the codes whose meaning their status does not tell.
var answers = map[string]error{
	"NoSuchKey":                      fs.ErrNotExist,
	"InvalidAccessKeyId":             vfs.ErrUnavailable, // what the administrator set, not the file's
	"SignatureDoesNotMatch":          vfs.ErrUnavailable,
	"RequestTimeTooSkewed":           vfs.ErrUnavailable,
	"ExpiredToken":                   vfs.ErrUnavailable,
	"NoSuchUpload":                   vfs.ErrBusy, // another server took it over or cleaned it away
	"InvalidPart":                    vfs.ErrBusy, // another server wrote into the same upload
	"PreconditionFailed":             vfs.ErrBusy,
	"KeyTooLongError":                vfs.ErrBadName,
	"XMinioInvalidObjectName":        vfs.ErrBadName,
	"XMinioStorageFull":              vfs.ErrNoSpace,
	"XMinioAdminBucketQuotaExceeded": vfs.ErrNoSpace,
	"QuotaExceeded":                  vfs.ErrNoSpace,
	"EntityTooLarge":                 vfs.ErrNoSpace,
	"XMinioObjectExistsAsDirectory":  fs.ErrExist,
	"XMinioParentIsObject":           vfs.ErrNotDir,
	"NotImplemented":                 errors.ErrUnsupported,
	"InvalidRange":                   vfs.ErrOffset,
}
