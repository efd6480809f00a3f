package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/ftpclient"
)

// sample is a file of random bytes on its way up and down.
type sample struct {
	name         string
	sent, got    []byte
	up, down     error
	began, ended time.Time // of the upload
}

const sampleSize = 64 << 10

// file makes up the name of a file, which is then taken away in the end.
func (p *patient) file(what string) string {
	name := p.prefix + "-" + what + ".tmp"
	p.made = append(p.made, name)
	return name
}

// transfer moves the sample up and down, once.
func (p *patient) transfer(ctx context.Context) *sample {
	if p.sample == nil {
		data := make([]byte, sampleSize)
		rand.Read(data)
		p.sample = p.roundTrip(ctx, p.file("64k"), data)
	}
	return p.sample
}

// roundTrip puts a file and gets it again.
func (p *patient) roundTrip(ctx context.Context, name string, data []byte) *sample {
	s := &sample{name: name, sent: data, began: time.Now()}
	s.up = p.put(ctx, name, data)
	s.ended = time.Now()
	if !stored(s.up) {
		s.down = s.up
		return s
	}
	s.got, s.down = p.get(ctx, name, int64(len(data)))
	return s
}

// stored reports whether the server says that it has the whole file.
func stored(err error) bool { return err == nil || errors.Is(err, ftpclient.ErrUnclean) }

func (p *patient) put(ctx context.Context, name string, data []byte) error {
	c, err := p.ready(ctx)
	if err != nil {
		return err
	}
	u, err := c.Store(ctx, name, ftpclient.StoreOptions{Size: int64(len(data))})
	if err != nil {
		return err
	}
	if _, err := u.Write(data); err != nil {
		// Close has the server's word about it.
		return errors.Join(u.Close(), err)
	}
	return u.Close()
}

// get reads a file, and no more of it than could be its own.
func (p *patient) get(ctx context.Context, name string, size int64) ([]byte, error) {
	c, err := p.ready(ctx)
	if err != nil {
		return nil, err
	}
	d, err := c.Retrieve(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(io.LimitReader(d, size+1))
	if err == nil && int64(len(got)) <= size {
		// The limit was not reached, so the end was.
		return got, d.Close()
	}
	return got, errors.Join(err, d.Close())
}

// cannotWrite tells the finding of a step that needs to write, where the
// account may not, or cannot.
func (p *patient) cannotWrite(ctx context.Context) (Finding, bool) {
	err := p.transfer(ctx).up
	if stored(err) {
		return Finding{}, false
	}
	if refusal(err) {
		return untried("doctor.without.right", err), true
	}
	return untried("doctor.without.upload"), true
}

func (p *patient) empty(ctx context.Context) Finding {
	if err := p.transfer(ctx).up; refusal(err) {
		return untried("doctor.without.right", err)
	}
	s := p.roundTrip(ctx, p.file("0"), nil)
	return p.compared(s, "doctor.empty.ok")
}

func (p *patient) content(ctx context.Context) Finding {
	s := p.transfer(ctx)
	if refusal(s.up) {
		return untried("doctor.without.right", s.up)
	}
	return p.compared(s, "doctor.content.ok")
}

// compared holds what came back against what was sent.
func (p *patient) compared(s *sample, key string) Finding {
	switch {
	case !stored(s.up):
		return wrong(s.up, s.up, "doctor.upload.remedy")
	case ftpclient.Class(s.down) == ftpclient.NoPermission:
		return untried("doctor.without.reading", s.down)
	case len(s.got) != len(s.sent):
		err := s.down
		if stored(err) || errors.Is(err, ftpclient.ErrAborted) {
			err = ftpclient.ErrTruncated
		}
		return wrong(err, fault.New("doctor.content.length", len(s.got), len(s.sent)), "doctor.content.remedy")
	case sha256.Sum256(s.got) != sha256.Sum256(s.sent):
		at := 0
		for at < len(s.sent) && s.got[at] == s.sent[at] {
			at++
		}
		return wrong(ftpclient.ErrTruncated, fault.New("doctor.content.other", at), "doctor.content.remedy")
	case !stored(s.down):
		return wrong(s.down, s.down, "doctor.download.remedy")
	}
	return good(key)
}

// The letters of the file for the step utf8: of two, three and four bytes.
const letters = "ñandú-漢字-🦜"

func (p *patient) utf8(ctx context.Context) Finding {
	if f, no := p.cannotWrite(ctx); no {
		return f
	}
	name := p.file(letters)
	text := []byte(letters)
	if err := p.put(ctx, name, text); !stored(err) {
		return wrong(err, err, "doctor.utf8.remedy")
	}
	c, err := p.ready(ctx)
	if err != nil {
		return wrong(err, err, "doctor.lost.remedy")
	}
	became, same := "", false
	err = p.list(ctx, c, func(listed string) {
		switch {
		case listed == name:
			same = true
		case strings.HasPrefix(listed, p.prefix) && !slices.Contains(p.made, listed):
			became = listed
			p.made = append(p.made, listed)
		}
	})
	switch {
	case became != "":
		return wrong(nil, fault.New("doctor.utf8.mangled", ftpclient.Printable(strings.TrimPrefix(became, p.prefix+"-"))), "doctor.utf8.remedy")
	case !stored(err):
		return untried("doctor.utf8.unlisted", err)
	case !same:
		return wrong(nil, fault.New("doctor.utf8.gone"), "doctor.utf8.remedy")
	}
	if got, err := p.get(ctx, name, int64(len(text))); !stored(err) || !bytes.Equal(got, text) {
		return wrong(err, fault.New("doctor.utf8.gone"), "doctor.utf8.remedy")
	}
	return good("doctor.utf8.ok", letters)
}

const (
	// tolerance is what two clocks that are kept right may differ by; a
	// time on the wire has no fractions (RFC 3659 §2.3).
	tolerance = 5 * time.Second
	// zoneStep is what zones differ by, and zoneSlack how near to one a
	// difference must be to be one.
	zoneStep, zoneSlack = 15 * time.Minute, 2 * time.Minute
)

// stamp is a time that no clock shows.
var stamp = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

func (p *patient) clock(ctx context.Context) Finding {
	if f, no := p.cannotWrite(ctx); no {
		return f
	}
	c, err := p.ready(ctx)
	if err != nil {
		return wrong(err, err, "doctor.lost.remedy")
	}
	s := p.sample
	told, err := c.ModTime(ctx, s.name)
	if err != nil {
		return untried("doctor.clock.unknown", err)
	}
	skew := time.Duration(0)
	if told.Before(s.began.Add(-tolerance)) {
		skew = told.Sub(s.began).Round(time.Second)
	} else if told.After(s.ended.Add(tolerance)) {
		skew = told.Sub(s.ended).Round(time.Second)
	}
	if zone := skew.Round(zoneStep); zone != 0 && (skew-zone).Abs() <= zoneSlack {
		return wrong(nil, fault.New("doctor.clock.zone", signed(zone)), "doctor.clock.zone.remedy")
	}
	if skew != 0 {
		return wrong(nil, fault.New("doctor.clock.skew", signed(skew)), "doctor.clock.skew.remedy")
	}
	if err := c.SetModTime(ctx, s.name, stamp); err != nil {
		if errors.Is(err, errors.ErrUnsupported) || refusal(err) {
			return good("doctor.clock.read")
		}
		return wrong(err, err, "doctor.clock.set.remedy")
	}
	if kept, err := c.ModTime(ctx, s.name); err != nil || !kept.Equal(stamp) {
		return wrong(err, fault.New("doctor.clock.set", signed(kept.Sub(stamp))), "doctor.clock.set.remedy")
	}
	return good("doctor.clock.ok")
}

// signed writes +2h0m0s.
func signed(d time.Duration) string {
	if d < 0 {
		return d.String()
	}
	return "+" + d.String()
}

// sweep takes the files away and returns those that stay.
func (p *patient) sweep(ctx context.Context) (left []string, why error) {
	for _, name := range p.made {
		c, err := p.ready(ctx)
		if err == nil {
			err = c.Delete(ctx, name)
		}
		if err != nil {
			left, why = append(left, name), err
		}
	}
	p.made = nil
	return left, why
}

func (p *patient) removed(ctx context.Context) Finding {
	if f, no := p.cannotWrite(ctx); no && len(p.made) == 0 {
		return f
	}
	tried := p.made
	left, why := p.sweep(ctx)
	// A refusal may mean that there was nothing to take away: a cut upload
	// leaves a file on one server and none on the next. The listing knows.
	there := map[string]bool{}
	c, err := p.ready(ctx)
	if err == nil {
		err = p.list(ctx, c, func(name string) {
			if strings.HasPrefix(name, p.prefix) {
				there[name] = true
			}
		})
	}
	if stored(err) {
		for name := range there {
			if !slices.Contains(tried, name) && c.Delete(ctx, name) == nil {
				delete(there, name)
			}
		}
		left = slices.DeleteFunc(left, func(name string) bool { return !there[name] })
	} else if c != nil { // who may not list may ask for a size
		left = slices.DeleteFunc(left, func(name string) bool { _, err := c.Size(ctx, name); return err != nil })
	}
	switch {
	case len(left) > 0 && !stored(p.sample.up) && !stored(err):
		return untried("doctor.without.upload")
	case len(left) > 0:
		return wrong(why, fault.New("doctor.removed.left", strings.Join(left, ", ")), "doctor.removed.remedy")
	case refusal(p.sample.up):
		return untried("doctor.without.right", p.sample.up)
	}
	return good("doctor.removed.ok")
}
