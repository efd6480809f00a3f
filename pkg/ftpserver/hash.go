package ftpserver

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/zeebo/blake3"
	"golang.org/x/sys/cpu"

	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

type algorithm struct {
	name string
	old  string
	new  func() hash.Hash
}

// algorithms are those of HASH, the best first; old is the verb by which
// clients from before HASH ask for it. The weak ones guard against accidents
// only, and clients that know no other are many.
var algorithms = []algorithm{
	{"SHA-256", "XSHA256", sha256.New},
	{"SHA-512", "XSHA512", sha512.New},
	{"SHA-1", "XSHA1", sha1.New},
	{"MD5", "XMD5", md5.New},
	{"CRC32", "XCRC", func() hash.Hash { return crc32.NewIEEE() }},
}

// quick is as strong as SHA-256 and takes less than half of its time where
// there are vectors of 256 bits, beside SHA instructions too; without them it
// takes longer, and is not offered.
var quick = algorithm{"BLAKE3", "", func() hash.Hash { return blake3.New() }}

// algorithmsHere are those that a server offers on this machine.
func algorithmsHere(cfg *Config) []algorithm {
	if cfg.SumsKept || !cpu.X86.HasAVX2 {
		return algorithms
	}
	return append(slices.Clip(algorithms), quick)
}

func (s *Server) algorithmNames() []string {
	var names []string
	for _, a := range s.algorithms {
		names = append(names, a.name)
	}
	return names
}

// hashFile is HASH (draft-bryan-ftpext-hash §3): of the file, or of what RANG
// chose.
func hashFile(s *session, ctx context.Context, a arg) (reply, error) {
	alg := s.srv.algorithms[s.params.hash]
	r := s.once.rang
	s.once = freshOneShots()
	sum, r, err := s.sum(ctx, "HASH", a.path, r, alg)
	if err != nil {
		return reply{}, err
	}
	return plain(213, ftp.FormatHash(ftp.Hash{Algorithm: alg.name, Range: r, Sum: sum, Name: a.text})), nil
}

// oldHash is XCRC and its sisters: a path, perhaps quoted, perhaps with the
// first and the last octet behind it.
func oldHash(verb string) handler {
	return func(s *session, ctx context.Context, a arg) (reply, error) {
		path, rang := a.text, ftp.WholeFile
		if quoted, rest, ok := strings.Cut(strings.TrimPrefix(a.text, `"`), `"`); ok && strings.HasPrefix(a.text, `"`) {
			path = quoted
			if rest = strings.TrimSpace(rest); rest != "" {
				var err error
				if rang, err = ftp.ParseRange(rest); err != nil {
					return reply{}, refuseFor(err, "reply.syntax")
				}
			}
		}
		name, err := vfs.Resolve(s.folder, path)
		if err != nil {
			return reply{}, err
		}
		for _, alg := range algorithms {
			if alg.old == verb {
				sum, _, err := s.sum(ctx, verb, name, rang, alg)
				return plain(250, strings.ToUpper(hex.EncodeToString(sum))), err
			}
		}
		return reply{}, refuse("reply.unknown")
	}
}

// hashable opens what may be hashed under a name: the file, for who may read
// it, and where there is none the part that this account left, for who could
// also go on from it. SIZE has told its length already; this tells whether it
// is the beginning of what the client has.
func (s *session) hashable(ctx context.Context, verb string, name vfs.Name) (vfs.File, error) {
	tree, perm := s.login.account.FS, s.login.account.Perm
	err := refuse("reply.noright", verb)
	if perm&vfs.Read != 0 {
		var file vfs.File
		if file, err = tree.Open(ctx, name); !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	if perm&(vfs.Write|vfs.Append) != 0 {
		if part, perr := tree.OpenPart(ctx, name); perr == nil {
			return part, nil
		}
	}
	return nil, err
}

// sum hashes a file, or a range of it, and returns the range as it was.
func (s *session) sum(ctx context.Context, verb string, name vfs.Name, r ftp.Range, alg algorithm) ([]byte, ftp.Range, error) {
	if r.IsWhole() && s.login.account.Perm&vfs.Read != 0 {
		if sum, length, err := s.login.account.FS.Sum(ctx, name, alg.name); err == nil {
			return sum, ftp.Range{First: 0, Last: length - 1}, nil
		}
	}
	file, err := s.hashable(ctx, verb, name)
	if err != nil {
		return nil, r, err
	}
	defer file.Close()
	length := file.Info().Size
	if r.IsWhole() {
		r = ftp.Range{First: 0, Last: length - 1}
	}
	if r.First > length || r.Last >= length {
		return nil, r, vfs.ErrOffset
	}
	h := alg.new()
	// A hash is a core's work for as long as the file is long, and one line
	// asks for it.
	release, err := s.srv.hashing.Acquire(ctx, s.login.account.Name)
	if err != nil {
		return nil, r, err
	}
	defer release()
	src := io.NewSectionReader(file, r.First, r.Len())
	// A buffer made anew for each of many small files would be most of what
	// their hashes cost.
	chunk := chunks.Get().(*[]byte)
	defer chunks.Put(chunk)
	if _, err := io.CopyBuffer(onlyWriter{h}, &untilDone{ctx, src}, *chunk); err != nil {
		return nil, r, blame(errSource, err)
	}
	return h.Sum(nil), r, nil
}

// untilDone ends with its context.
type untilDone struct {
	ctx context.Context
	src io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.src.Read(p)
}

// onlyWriter keeps io.Copy to the buffer it was given.
type onlyWriter struct{ io.Writer }
