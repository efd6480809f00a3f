package mirror

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"time"
	"unicode/utf8"
)

// record says what a part is a part of. It stands beside the part of a
// download, and in the folder of records for an upload.
type record struct {
	Version  int    `json:"ftps_part"`
	Site     string `json:"site"`
	Pin      string `json:"pin"`   // of the server's key
	Path     string `json:"path"`  // on the server, quoted: names need not be UTF-8
	Local    string `json:"local"` // an upload's source, quoted; else empty
	Size     int64  `json:"size"`
	Time     string `json:"time"`               // of the source, RFC 3339; empty if unknown
	Segments string `json:"segments,omitempty"` // of a download over several connections
	Offset   int64  `json:"offset"`             // bytes that were there when the part was left
}

const recordVersion = 2

func newRecord(site string, pin []byte, remote, local string, size int64, t time.Time) record {
	r := record{Version: recordVersion, Site: site, Path: strconv.QuoteToASCII(remote), Size: size}
	if len(pin) > 0 {
		r.Pin = "sha256//" + base64.StdEncoding.EncodeToString(pin)
	}
	if local != "" {
		r.Local = strconv.QuoteToASCII(local)
	}
	if !t.IsZero() {
		r.Time = t.UTC().Format(time.RFC3339Nano)
	}
	return r
}

// same reports whether a part made under r is one of the file that other
// describes. Without a size and a time nothing is known to be the same.
func (r record) same(other record) bool {
	r.Offset, other.Offset = 0, 0
	r.Segments, other.Segments = "", ""
	return r == other && r.Size >= 0 && r.Time != ""
}

// covers reports whether a part of that size can hold what its segments
// claim.
func (r record) covers(size int64) bool {
	if r.Segments == "" {
		return true
	}
	s := parseSegments(r.Segments, r.Size)
	for _, g := range s {
		if g.done > 0 && g.from+g.done > size {
			return false
		}
	}
	return s != nil
}

// plain takes what is in one piece of a part of several.
func (p *part) plain() error {
	if p.segments == nil {
		return nil
	}
	if err := p.file.Truncate(p.size); err != nil {
		return err
	}
	p.segments = nil
	p.what.Segments, p.what.Offset = "", p.size
	return p.writeRecord(p.what)
}

// maxName is the longest file name that common file systems take, in bytes.
const maxName = 255

// partName is where a download grows: NAME.part. n > 1 makes another one
// where that is taken, and long names are cut to fit.
func partName(name string, n int) string {
	suffix := ".part"
	if n > 1 {
		suffix = fmt.Sprintf(".part~%d", n)
	}
	return fit(name, suffix, len(infoSuffix))
}

// fit appends a suffix and keeps so many bytes free, cutting the name where
// it is too long.
func fit(name, suffix string, free int) string {
	if room := maxName - len(suffix) - free; len(name) > room {
		sum := sha256.Sum256([]byte(name))
		mark := "~" + hex.EncodeToString(sum[:8])
		cut := room - len(mark)
		for cut > 0 && !utf8.RuneStart(name[cut]) {
			cut--
		}
		name = name[:cut] + mark
	}
	return name + suffix
}

// infoSuffix makes the name of a part's record.
const infoSuffix = "-info"

// part is the growing file of one download, with its record.
type part struct {
	root *os.Root
	name string // the part, below root
	info string // its record
	file *os.File
	size int64 // bytes that may be built upon; 0 to begin at the first
	what record

	seams    []seamOf // to compare in the end
	segments segments // of an earlier download over several connections
}

// maxParts bounds the search for a free name.
const maxParts = 100

// openPart opens the part of a download, or makes it. A file with a part's
// name and no record beside it is somebody's own and is left alone, and so
// is a name that the plan itself will fill. reason tells why an earlier part
// is not built upon, nil if there was none.
func openPart(root *os.Root, local string, want record, resume bool, planned map[string]bool) (p *part, reason error, err error) {
	dir, base := path.Split(local)
	for n := 1; n <= maxParts; n++ {
		p := &part{root: root, name: dir + partName(base, n)}
		p.info = p.name + infoSuffix
		if planned[p.name] || planned[p.info] || !p.free() {
			continue
		}
		have, found, err := p.readRecord()
		if err != nil {
			return nil, nil, err
		}
		info, statErr := root.Lstat(p.name)
		switch {
		case statErr == nil && (!found || !info.Mode().IsRegular()):
			continue
		case statErr != nil && !errors.Is(statErr, fs.ErrNotExist):
			return nil, nil, statErr
		}
		flags := os.O_RDWR | os.O_CREATE
		switch {
		case statErr == nil && resume && have.same(want) && info.Size() >= have.Offset && have.covers(info.Size()):
			p.size = min(info.Size(), want.Size)
			if have.Segments != "" {
				// The part has holes: only its beginning is one piece.
				p.segments = parseSegments(have.Segments, want.Size)
				p.size = min(p.size, p.segments.beginning())
				want.Segments = have.Segments
			}
		case statErr == nil && resume && info.Size() > 0:
			reason = ErrSourceChanged
			flags |= os.O_TRUNC
		default:
			flags |= os.O_TRUNC
		}
		want.Offset = p.size
		p.what = want
		if flags&os.O_TRUNC != 0 && statErr == nil {
			// First the old part: under the new record it would be taken for
			// a beginning.
			if err := root.Remove(p.name); err != nil {
				return nil, nil, err
			}
		}
		if err := p.writeRecord(want); err != nil {
			return nil, nil, err
		}
		if flags&os.O_TRUNC != 0 {
			flags |= os.O_EXCL
		}
		if p.file, err = openOwn(root, p.name, flags); err != nil {
			root.Remove(p.info)
			return nil, nil, err
		}
		return p, reason, nil
	}
	return nil, nil, fs.ErrExist
}

// free reports whether part and record can be written without writing into
// anything else: nothing has their names, or files that have no other one.
func (p *part) free() bool {
	for _, name := range []string{p.name, p.info} {
		info, err := p.root.Lstat(name)
		if err == nil && (!info.Mode().IsRegular() || !alone(info)) {
			return false
		}
	}
	return true
}

// openOwn opens a file that has no other name, whatever was put in its place
// since that was looked at.
func openOwn(root *os.Root, name string, flags int) (*os.File, error) {
	file, err := root.OpenFile(name, flags|nonblock, 0o666)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() || !alone(info) {
		file.Close()
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	}
	return file, nil
}

// readRecord reads the record beside a part. Only one of ours counts as
// found.
func (p *part) readRecord() (r record, found bool, err error) {
	info, err := p.root.Lstat(p.info)
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	if err != nil || !info.Mode().IsRegular() || info.Size() > 64<<10 {
		return r, false, err
	}
	b, err := p.root.ReadFile(p.info)
	if err != nil {
		return r, false, err
	}
	if json.Unmarshal(b, &r) != nil || r.Version != recordVersion {
		return record{}, false, nil
	}
	return r, true, nil
}

func (p *part) writeRecord(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	// The record goes before the first byte: a part without one is never
	// built upon.
	file, err := openOwn(p.root, p.info, os.O_WRONLY|os.O_CREATE)
	if err != nil {
		return err
	}
	if err = file.Truncate(0); err == nil {
		_, err = file.Write(append(b, '\n'))
	}
	return errors.Join(err, file.Close())
}

// restart empties the part.
func (p *part) restart() error {
	p.size = 0
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return p.file.Truncate(0)
}

// finish puts the whole file in its place, and lets go of its record.
func (p *part) finish(local string, t time.Time, noSync bool) error {
	if err := p.settle(local, t, noSync); err != nil {
		return err
	}
	return p.root.Remove(p.info)
}

// settle puts the whole file in its place.
func (p *part) settle(local string, t time.Time, noSync bool) error {
	if info, err := p.root.Stat(local); err == nil {
		if info.IsDir() {
			return &fs.PathError{Op: "rename", Path: local, Err: fs.ErrExist}
		}
		// An overwrite keeps the mode.
		p.file.Chmod(info.Mode().Perm())
	}
	if !noSync {
		if err := p.file.Sync(); err != nil {
			return err
		}
	}
	if err := p.file.Close(); err != nil {
		return err
	}
	if !t.IsZero() {
		// Some file systems keep no times; the file is whole all the same.
		p.root.Chtimes(p.name, t, t)
	}
	return p.root.Rename(p.name, local)
}

// sweep removes what a run left that was killed while it put a small file in
// its place: a part without a record (see run.keep), which held the name that
// this one did not get. That it is a leftover and nobody's own is known by its
// content, the beginning of the file that is in its place now or all of it.
func (p *part) sweep(local string, planned map[string]bool) {
	dir, base := path.Split(local)
	name := dir + partName(base, 1)
	if name == p.name || planned[name] || p.what.Size < 0 || p.what.Size >= smallFile {
		return
	}
	if _, err := p.root.Lstat(name + infoSuffix); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if info, err := p.root.Lstat(name); err != nil || !info.Mode().IsRegular() || info.Size() > p.what.Size {
		return
	}
	left, err := p.root.ReadFile(name)
	if err != nil {
		return
	}
	if file, err := p.root.ReadFile(local); err == nil && bytes.HasPrefix(file, left) {
		p.root.Remove(name)
	}
}

// leave closes a part that is not whole. One without a byte goes.
func (p *part) leave() {
	info, err := p.file.Stat()
	p.file.Close()
	if err != nil {
		return
	}
	if info.Size() == 0 {
		p.root.Remove(p.name)
		p.root.Remove(p.info)
		return
	}
	if p.what.Segments == "" {
		p.what.Offset = info.Size()
	}
	p.writeRecord(p.what)
}

// records is the folder in which uploads under way are noted.
type records string

func (t *Transfer) records() records {
	if t.cfg.Records != "" {
		return records(t.cfg.Records)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return records(filepath.Join(cache, "ftps", "uploads"))
}

// of returns where the record of an upload is kept.
func (d records) of(r record) string {
	sum := sha256.Sum256([]byte(r.Site + "\x00" + r.Path))
	return filepath.Join(string(d), hex.EncodeToString(sum[:16])+".json")
}

// matches reports whether the upload that r describes is noted.
func (d records) matches(r record) (match, found bool) {
	if d == "" {
		return false, false
	}
	b, err := os.ReadFile(d.of(r))
	if err != nil {
		return false, false
	}
	var have record
	if json.Unmarshal(b, &have) != nil {
		return false, false
	}
	return have.same(r), true
}

// note writes the record. Without it an upload works as well; it only begins
// again.
func (d records) note(r record) {
	if d == "" || os.MkdirAll(string(d), 0o700) != nil {
		return
	}
	b, err := json.Marshal(r)
	if err != nil {
		return
	}
	os.WriteFile(d.of(r), append(b, '\n'), 0o600)
}

func (d records) forget(r record) {
	if d != "" {
		os.Remove(d.of(r))
	}
}
