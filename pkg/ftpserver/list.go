package ftpserver

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"iter"
	"path"
	"strings"
	"time"

	"ftps/pkg/event"
	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

// lineFunc appends one line of a listing.
type lineFunc func(b []byte, e *ftp.Entry) []byte

// list is LIST: lines as ls writes them.
func list(s *session, ctx context.Context, a arg) (*transfer, error) {
	now := time.Now()
	return s.listing(ctx, a.text, func(b []byte, e *ftp.Entry) []byte {
		return ftp.AppendUnixLine(b, *e, now)
	})
}

// nlst is NLST: names alone.
func nlst(s *session, ctx context.Context, a arg) (*transfer, error) {
	return s.listing(ctx, a.text, func(b []byte, e *ftp.Entry) []byte {
		return append(b, e.Name...)
	})
}

// mlsd is MLSD (RFC 3659 §7): facts, of a folder only.
func mlsd(s *session, ctx context.Context, a arg) (*transfer, error) {
	info, err := s.login.account.FS.Stat(ctx, a.path)
	if err != nil {
		return nil, err
	}
	if info.Type != vfs.TypeDir {
		return nil, refuse("reply.mlsd.file") // RFC 3659 §7.2.1: 501
	}
	facts := s.params.facts
	return s.sendEntries(a.path, s.login.account.FS.List(ctx, a.path), func(b []byte, e *ftp.Entry) []byte {
		return ftp.AppendFacts(b, e, facts)
	}), nil
}

// listing finds what LIST and NLST mean: a folder, a file, a pattern.
func (s *session) listing(ctx context.Context, text string, line lineFunc) (*transfer, error) {
	tree := s.login.account.FS
	name, info, err := s.listTarget(ctx, text)
	if err == nil {
		if info.Type == vfs.TypeDir {
			return s.sendEntries(name, tree.List(ctx, name), line), nil
		}
		return s.sendEntries(name, func(yield func(vfs.Info, error) bool) { yield(info, nil) }, line), nil
	}
	pattern := name.Base()
	if !errors.Is(err, fs.ErrNotExist) || !strings.ContainsAny(pattern, "*?[") {
		return nil, err
	}
	// mget asks with a pattern, of which only the last component may be one.
	if _, bad := path.Match(pattern, ""); bad != nil {
		return nil, err
	}
	return s.sendEntries(name.Parent(), matching(tree.List(ctx, name.Parent()), pattern), line), nil
}

// listTarget reads LIST's argument. Options as of ls ("-al") stand before the
// path with many clients; they are dropped, unless a file has that name.
func (s *session) listTarget(ctx context.Context, text string) (vfs.Name, vfs.Info, error) {
	for {
		name, err := vfs.Resolve(s.folder, text)
		if err != nil {
			return name, vfs.Info{}, err
		}
		info, err := s.login.account.FS.Stat(ctx, name)
		if err == nil || !strings.HasPrefix(text, "-") {
			return name, info, err
		}
		_, text, _ = strings.Cut(text, " ")
		text = strings.TrimLeft(text, " ")
	}
}

// matching yields the entries whose name the pattern fits.
func matching(entries iter.Seq2[vfs.Info, error], pattern string) iter.Seq2[vfs.Info, error] {
	return func(yield func(vfs.Info, error) bool) {
		for info, err := range entries {
			if err == nil {
				if ok, _ := path.Match(pattern, info.Name); !ok {
					continue
				}
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// listBuffer gathers lines into whole TLS records: a record for each line
// would cost the client twenty times the work.
const listBuffer = 16 << 10

// breathEntries is after how many entries the clock is looked at: some 100 µs.
const breathEntries = 64

// forges reports whether a name would be more than one line of a listing. (A
// variable for the test that sees what happens without it.)
var forges = func(name string) bool {
	for i := range len(name) {
		switch name[i] {
		case '\r', '\n', 0:
			return true
		}
	}
	return false
}

// sendEntries is the transfer of a listing.
func (s *session) sendEntries(folder vfs.Name, entries iter.Seq2[vfs.Info, error], line lineFunc) *transfer {
	var facts [len(permFacts)]string // the same for every entry of a type
	for t := range facts {
		facts[t] = permFact(vfs.Type(t), s.login.account.Perm)
	}
	t := &transfer{direction: event.Listing, name: folder}
	t.carry = func(ctx context.Context, f frame) error {
		out := bufio.NewWriterSize(f.out, listBuffer)
		pace, n := newBreather(), 0
		var e ftp.Entry
		for info, err := range entries {
			if n++; n%breathEntries == 0 {
				pace.breathe()
			}
			if err != nil {
				return blame(errSource, err)
			}
			if forges(info.Name) {
				continue
			}
			e = entryWith(info, facts[info.Type])
			b := line(out.AvailableBuffer(), &e)
			b = append(b, '\r', '\n')
			if _, err := out.Write(b); err != nil {
				return blame(errData, err)
			}
			t.bytes.Add(int64(len(b)))
		}
		return blameIf(errData, out.Flush())
	}
	t.settle = func(_ context.Context, err error) error { return err }
	return t
}

// mlst is MLST: the facts of one entry, on the control connection.
func mlst(s *session, ctx context.Context, a arg) (reply, error) {
	info, err := s.login.account.FS.Stat(ctx, a.path)
	if err != nil {
		return reply{}, err
	}
	e := entry(info, s.login.account.Perm)
	e.Name = a.path.String()
	line := ftp.AppendFacts([]byte{' '}, &e, s.params.facts)
	return plain(250, "Listing "+a.path.String(), string(line), "End"), nil
}

// knownFacts are the facts of an entry; when it was created, no tree says.
const knownFacts = ftp.AllFacts &^ ftp.FactCreate

// entry is an entry of the tree as the wire format knows it.
func entry(info vfs.Info, perm vfs.Perm) ftp.Entry {
	return entryWith(info, permFact(info.Type, perm))
}

// entryWith is entry with the perm fact at hand.
func entryWith(info vfs.Info, perm string) ftp.Entry {
	return ftp.Entry{
		Name:    info.Name,
		Type:    entryTypes[info.Type],
		Size:    info.Size,
		ModTime: info.ModTime,
		Precise: true,
		Perm:    perm,
		Mode:    info.Mode,
		HasMode: true,
		Unique:  info.Unique,
		Owner:   info.Owner,
		Group:   info.Group,
		Links:   info.Links,
	}
}

var entryTypes = [...]ftp.EntryType{
	vfs.TypeFile:  ftp.File,
	vfs.TypeDir:   ftp.Dir,
	vfs.TypeLink:  ftp.Link,
	vfs.TypeOther: ftp.Other,
}

// permFacts are the letters of RFC 3659 §7.5.5 and the right behind each.
var permFacts = [...][]struct {
	letter string
	right  vfs.Perm
}{
	vfs.TypeFile: {{"a", vfs.Append}, {"d", vfs.Delete}, {"f", vfs.Rename}, {"r", vfs.Read}, {"w", vfs.Write}},
	vfs.TypeDir: {{"c", vfs.Write}, {"d", vfs.Delete}, {"e", 0}, {"f", vfs.Rename}, {"l", vfs.List},
		{"m", vfs.Mkdir}, {"p", vfs.Delete}},
	vfs.TypeOther: nil,
}

func permFact(t vfs.Type, perm vfs.Perm) string {
	var letters strings.Builder
	for _, f := range permFacts[t] {
		if perm.Has(f.right) {
			letters.WriteString(f.letter)
		}
	}
	return letters.String()
}

func blameIf(side, err error) error {
	if err == nil {
		return nil
	}
	return blame(side, err)
}
