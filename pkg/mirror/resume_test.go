package mirror_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/mirror"
)

// cutting serves RETR up to a number of bytes and then cuts it, as long as
// it is switched on.
func cutting(t *testing.T, b []byte, at int, on *atomic.Bool) hooks {
	return hooks{"RETR": func(s *hostile.Session, _ string) bool {
		if !on.Load() {
			return false
		}
		sendCut(t, s, b[:at])
		return true
	}}
}

// sendCut sends b as the data, and then ends the connection without
// close_notify.
func sendCut(t *testing.T, s *hostile.Session, b []byte) {
	s.Reply(150, "go")
	tc, raw, _, err := s.Data()
	if err != nil {
		t.Error(err)
		return
	}
	tc.Write(b)
	raw.(interface{ CloseWrite() error }).CloseWrite()
	io.Copy(io.Discard, raw)
	raw.Close()
	s.Reply(426, "cut")
}

const (
	length = 600_000
	cutAt  = 400_000
)

// broken leaves a part of a download behind, and returns the server, the
// transfer and the local target.
func broken(t *testing.T) (*hostile.Server, *mirror.Transfer, *events, string) {
	t.Helper()
	var on atomic.Bool
	on.Store(true)
	s := hostile.Start(t, hostile.Options{Hooks: cutting(t, content(length), cutAt, &on)})
	s.Put("/f", content(length), longAgo)
	tr, told := transfer(t, s, nil)
	local := filepath.Join(t.TempDir(), "f")
	_, err := tr.Get(within(t), "/f", local, mirror.Options{})
	if !errors.Is(err, ftpclient.ErrTruncated) || ftpclient.Class(err) != ftpclient.Damaged {
		t.Fatalf("the cut download: %v", err)
	}
	if _, err := os.Stat(local); err == nil {
		t.Fatal("a cut download took the file's place")
	}
	if b, err := os.ReadFile(local + ".part"); err != nil || !bytes.Equal(b, content(length)[:cutAt]) {
		t.Fatalf("the part: %d bytes, %v", len(b), err)
	}
	on.Store(false)
	return s, tr, told, local
}

func TestADownloadGoesOnWhereItStopped(t *testing.T) {
	_, tr, told, local := broken(t)
	r, err := tr.Get(within(t), "/f", local, mirror.Options{Resume: true})
	if err != nil || r.Bytes != length-cutAt {
		t.Errorf("%v, %+v", err, r)
	}
	want := content(length)
	if got := files(t, filepath.Dir(local)); len(got) != 1 || got["f"] != string(want) {
		t.Errorf("left: %d files", len(got))
	}
	done := of[mirror.Done](told)
	if len(done) != 1 || !done[0].Resumed || len(of[mirror.Restarted](told)) != 0 {
		t.Errorf("told %+v", done)
	}
	// And once more there is nothing to do.
	if r, err := tr.Get(within(t), "/f", local, mirror.Options{Resume: true}); err != nil || r.Bytes != 0 {
		t.Errorf("again: %v, %+v", err, r)
	}
}

func TestAChangedFileIsNeverSplicedToAnOldPart(t *testing.T) {
	other := content(length + 1)[:length]
	end := content(length)
	end[cutAt-1] ^= 1
	for name, v := range map[string]struct {
		data   []byte
		when   time.Time
		reason error
	}{
		"another time":               {other, longAgo.Add(time.Hour), mirror.ErrSourceChanged},
		"another size":               {content(length + 5), longAgo, mirror.ErrSourceChanged},
		"same size and time":         {other, longAgo, mirror.ErrOverlap},
		"one bit in the part's last": {end, longAgo, mirror.ErrOverlap},
	} {
		t.Run(name, func(t *testing.T) {
			s, tr, told, local := broken(t)
			s.Put("/f", v.data, v.when)
			if _, err := tr.Get(within(t), "/f", local, mirror.Options{Resume: true}); err != nil {
				t.Fatal(err)
			}
			if b, _ := os.ReadFile(local); !bytes.Equal(b, v.data) {
				t.Error("spliced")
			}
			again := of[mirror.Restarted](told)
			if len(again) != 1 || again[0].Reason != v.reason {
				t.Errorf("told %v, want %v", again, v.reason)
			}
		})
	}
}

func TestControlWithoutAnOverlapTwoFilesAreSpliced(t *testing.T) {
	s, tr, _, local := broken(t)
	other := content(length + 1)[:length]
	s.Put("/f", other, longAgo)
	tr.WithoutOverlap()
	// The hash of the whole is the second guard.
	if _, err := tr.Get(within(t), "/f", local, mirror.Options{Resume: true}); !errors.Is(err, mirror.ErrHash) || ftpclient.Class(err) != ftpclient.Damaged {
		t.Errorf("spliced, and the hash says %v", err)
	}
	if _, err := os.Stat(local); err == nil {
		t.Error("it took the file's place")
	}

	s, tr, _, local = broken(t)
	s.Put("/f", other, longAgo)
	tr.WithoutOverlap()
	tr.SetVerify(mirror.VerifySize)
	if _, err := tr.Get(within(t), "/f", local, mirror.Options{Resume: true}); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(local); bytes.Equal(b, other) {
		t.Error("the file is whole: the overlap is not what guards it")
	}
}

func TestWithoutResumeAPartIsBegunAgain(t *testing.T) {
	_, tr, _, local := broken(t)
	if r, err := tr.Get(within(t), "/f", local, mirror.Options{}); err != nil || r.Bytes != length {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestAFileOfSomebodyElseWithAPartsNameIsLeftAlone(t *testing.T) {
	s := hostile.Start(t, hostile.Options{})
	s.Put("/d/f", []byte("f"), longAgo)
	s.Put("/d/f.part", []byte("a real file of this name"), longAgo)
	dir := filepath.Join(t.TempDir(), "d")
	write(t, filepath.Join(dir, "g.part"), []byte("mine"), longAgo)
	s.Put("/d/g", []byte("g"), longAgo)
	tr, _ := transfer(t, s, nil)
	if _, err := tr.Get(within(t), "/d", filepath.Dir(dir), mirror.Options{Recursive: true, Resume: true}); err != nil {
		t.Fatal(err)
	}
	got := files(t, dir)
	if len(got) != 4 || got["f"] != "f" || got["f.part"] != "a real file of this name" || got["g.part"] != "mine" || got["g"] != "g" {
		t.Errorf("%q", got)
	}
}

func TestABrokenFileIsTakenUpAgain(t *testing.T) {
	var on atomic.Bool
	on.Store(true)
	s := hostile.Start(t, hostile.Options{Hooks: cutting(t, content(length), cutAt, &on)})
	s.Put("/f", content(length), longAgo)
	tr, told := transfer(t, s, func(cfg *mirror.Config) {
		cfg.Retries = 1
		next := cfg.Progress
		cfg.Progress = func(e mirror.Event) {
			next(e)
			if _, ok := e.(mirror.Retrying); ok {
				on.Store(false)
			}
		}
	})
	local := filepath.Join(t.TempDir(), "f")
	if _, err := tr.Get(within(t), "/f", local, mirror.Options{}); err != nil {
		t.Fatal(err)
	}
	if done := of[mirror.Done](told); len(done) != 1 || !done[0].Resumed {
		t.Errorf("told %+v", done)
	}
}

func TestMoreBytesThanAnnouncedAreNoFile(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"RETR": func(s *hostile.Session, _ string) bool {
		send(t, s, []byte(strings.Repeat("x", 100_000)), 226)
		return true
	}}})
	for _, size := range []int{10, 200_000} {
		s.Put("/f", content(size), longAgo)
		tr, _ := transfer(t, s, nil)
		dir := t.TempDir()
		if _, err := tr.Get(within(t), "/f", dir, mirror.Options{}); !errors.Is(err, mirror.ErrSize) || ftpclient.Class(err) != ftpclient.Damaged {
			t.Errorf("got %v (class %d)", err, ftpclient.Class(err))
		}
		if _, err := os.Stat(filepath.Join(dir, "f")); err == nil {
			t.Error("it took the file's place")
		}
	}
}

func TestAServerWithoutCloseNotifyIsCheckedByHashOrSize(t *testing.T) {
	for verify, want := range map[mirror.Verify]mirror.Verified{mirror.VerifyAuto: mirror.ByHash, mirror.VerifySize: mirror.Unclean} {
		t.Run(verify.String(), func(t *testing.T) { unclean(t, verify, want) })
	}
}

func unclean(t *testing.T, verify mirror.Verify, by mirror.Verified) {
	s := hostile.Start(t, hostile.Options{NoCloseNotify: true})
	want := content(100_000)
	s.Put("/f", want, longAgo)
	tr, told := transfer(t, s, func(cfg *mirror.Config) { cfg.Verify = verify })
	local := filepath.Join(t.TempDir(), "f")
	// MLSD would be unclean too; MLST needs no data connection.
	if _, err := tr.Get(within(t), "/f", local, mirror.Options{}); err != nil {
		t.Errorf("Get: %v", err)
	}
	if _, err := tr.Put(within(t), local, "/g", mirror.Options{}); err != nil {
		t.Errorf("Put: %v", err)
	}
	for _, d := range of[mirror.Done](told) {
		if d.Verified != by {
			t.Errorf("%s: verified by %v", d.Item.Remote, d.Verified)
		}
	}
	if f, _ := s.File("/g"); !bytes.Equal(f.Data, want) {
		t.Error("the upload differs")
	}
}

func Test226ForAShortUploadIsFoundOutBySize(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"SIZE": func(s *hostile.Session, _ string) bool {
		s.Reply(213, "12")
		return true
	}}})
	local := filepath.Join(t.TempDir(), "f")
	write(t, local, content(1000), longAgo)
	tr, _ := transfer(t, s, func(cfg *mirror.Config) { cfg.Verify = mirror.VerifySize })
	if _, err := tr.Put(within(t), local, "/f", mirror.Options{}); !errors.Is(err, mirror.ErrSize) || ftpclient.Class(err) != ftpclient.Damaged {
		t.Errorf("got %v", err)
	}
}

// hiddenPart is a server that shows nobody what came of a broken upload.
var hiddenPart = hooks{
	"RETR": func(s *hostile.Session, _ string) bool { s.Reply(550, "no such file"); return true },
	"HASH": func(s *hostile.Session, _ string) bool { s.Reply(550, "no such file"); return true },
}

// brokenUpload leaves the beginning of a file on a server that does what more
// says, and whose FEAT may be another than usual.
func brokenUpload(t *testing.T, more hooks, features ...string) (*hostile.Server, *mirror.Transfer, *events, string) {
	t.Helper()
	var on atomic.Bool
	on.Store(true)
	h := hooks{"STOR": func(s *hostile.Session, _ string) bool {
		if !on.Load() {
			return false
		}
		s.Reply(150, "go")
		tc, raw, _, err := s.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		io.CopyN(io.Discard, tc, cutAt)
		raw.Close()
		s.Reply(426, "cut")
		return true
	}}
	maps.Copy(h, more)
	s := hostile.Start(t, hostile.Options{Hooks: h, Features: features})
	local := filepath.Join(t.TempDir(), "f")
	write(t, local, content(length), longAgo)
	tr, told := transfer(t, s, nil)
	if _, err := tr.Put(within(t), local, "/f", mirror.Options{}); err == nil {
		t.Fatal("a cut upload succeeded")
	}
	s.Put("/f.ftps-part", content(length)[:cutAt], time.Now())
	on.Store(false)
	return s, tr, told, local
}

func TestAnUploadGoesOnWhereItStopped(t *testing.T) {
	for name, hidden := range map[string]bool{"a part in sight": false, "a part that cannot be read, and nobody wants proof": true} {
		t.Run(name, func(t *testing.T) {
			var more hooks
			if hidden {
				more = hiddenPart
			}
			s, tr, told, local := brokenUpload(t, more)
			if hidden {
				tr.SetVerify(mirror.VerifyNone)
			}
			r, err := tr.Put(within(t), local, "/f", mirror.Options{Resume: true})
			if err != nil || r.Bytes != length-cutAt {
				t.Errorf("%v, %+v", err, r)
			}
			if f, _ := s.File("/f"); !bytes.Equal(f.Data, content(length)) {
				t.Error("the file differs")
			}
			if again := of[mirror.Restarted](told); len(again) != 0 {
				t.Errorf("begun again: %v", again)
			}
			if r, err := tr.Put(within(t), local, "/f", mirror.Options{Resume: true}); err != nil || r.Bytes != 0 {
				t.Errorf("again: %v, %+v", err, r)
			}
		})
	}
}

// The record alone took what another client had left for the beginning of
// the file.
func TestAPartThatCannotBeCheckedIsNotGoneOnFrom(t *testing.T) {
	s, tr, told, local := brokenUpload(t, hiddenPart)
	s.Put("/f.ftps-part", content(cutAt + 3)[:cutAt], time.Now())
	if _, err := tr.Put(within(t), local, "/f", mirror.Options{Resume: true}); err != nil {
		t.Fatal(err)
	}
	if f, _ := s.File("/f"); !bytes.Equal(f.Data, content(length)) {
		t.Error("spliced")
	}
	if again := of[mirror.Restarted](told); len(again) != 1 || again[0].Reason != mirror.ErrUnproven {
		t.Errorf("told %v", again)
	}
}

func TestAnUploadIsNeverSplicedFromTwoFiles(t *testing.T) {
	for name, v := range map[string]struct {
		change func(s *hostile.Server, local string)
		reason error
	}{
		"the local file changed": {func(_ *hostile.Server, local string) {
			write(t, local, content(length + 1)[:length], longAgo.Add(time.Hour))
		}, mirror.ErrSourceChanged},
		"the remote part is another's": {func(s *hostile.Server, _ string) {
			s.Put("/f.ftps-part", content(cutAt + 3)[:cutAt], time.Now())
		}, mirror.ErrOverlap},
	} {
		t.Run(name, func(t *testing.T) {
			s, tr, told, local := brokenUpload(t, nil)
			v.change(s, local)
			if _, err := tr.Put(within(t), local, "/f", mirror.Options{Resume: true}); err != nil {
				t.Fatal(err)
			}
			want, _ := os.ReadFile(local)
			if f, _ := s.File("/f"); !bytes.Equal(f.Data, want) {
				t.Error("spliced")
			}
			if again := of[mirror.Restarted](told); len(again) != 1 || again[0].Reason != v.reason {
				t.Errorf("told %v, want %v", again, v.reason)
			}
		})
	}
	t.Run("no record of it", func(t *testing.T) {
		s := hostile.Start(t, hostile.Options{})
		local := filepath.Join(t.TempDir(), "f")
		write(t, local, content(length), longAgo)
		s.Put("/f.ftps-part", content(length + 1)[:cutAt], time.Now())
		tr, told := transfer(t, s, nil)
		if _, err := tr.Put(within(t), local, "/f", mirror.Options{Resume: true}); err != nil {
			t.Fatal(err)
		}
		if f, _ := s.File("/f"); !bytes.Equal(f.Data, content(length)) {
			t.Error("spliced")
		}
		if again := of[mirror.Restarted](told); len(again) != 1 || again[0].Reason != mirror.ErrNoRecord {
			t.Errorf("told %v", again)
		}
	})
}

// Without any hash 64 KiB were compared, and what was wrong before them became
// the beginning of the file.
func TestAPartOnAServerWithoutAHashIsReadBackWhole(t *testing.T) {
	wrong := content(length)[:cutAt]
	wrong[cutAt/2] ^= 1
	for name, v := range map[string]struct {
		part      []byte
		verify    mirror.Verify
		moved     int64
		again     bool
		compared  int
		different bool
	}{
		"as it was":              {part: content(length)[:cutAt], moved: length, compared: 1},
		"changed":                {part: wrong, moved: length + cutAt, again: true, compared: 1},
		"changed, by size alone": {part: wrong, moved: length - cutAt + 64<<10, verify: mirror.VerifySize, different: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, tr, told, local := brokenUpload(t, nil, without("HASH")...)
			s.Put("/f.ftps-part", v.part, time.Now())
			tr.SetVerify(v.verify)
			r, err := tr.Put(within(t), local, "/f", mirror.Options{Resume: true})
			if err != nil || r.Bytes > v.moved {
				t.Errorf("%v, %d bytes moved, want %d", err, r.Bytes, v.moved)
			}
			if f, _ := s.File("/f"); bytes.Equal(f.Data, content(length)) == v.different {
				t.Errorf("the local file: %v", !v.different)
			}
			if again := of[mirror.Restarted](told); len(again) == 1 != v.again || v.again && again[0].Reason != mirror.ErrOverlap {
				t.Errorf("told %v", again)
			}
			if c := of[mirror.Comparing](told); len(c) != v.compared {
				t.Errorf("told %+v", c)
			}
			if d := of[mirror.Done](told); len(d) != 1 || d[0].Resumed == v.again {
				t.Errorf("told %+v", d)
			}
		})
	}
}

// The way back broke in the middle of the comparison, and the part was taken
// for another file's.
func TestAComparisonThatBreaksOffIsTakenUpAgain(t *testing.T) {
	var cut atomic.Bool
	s, tr, told, local := brokenUpload(t, hooks{"RETR": func(c *hostile.Session, _ string) bool {
		if cut.Swap(true) {
			return false
		}
		c.Reply(150, "go")
		tc, raw, _, err := c.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		tc.Write(content(length)[:cutAt/2])
		raw.Close()
		c.Reply(426, "cut")
		return true
	}}, without("HASH")...)
	tr.SetRetries(1)
	r, err := tr.Put(within(t), local, "/f", mirror.Options{Resume: true})
	if err != nil || len(of[mirror.Restarted](told)) != 0 || len(of[mirror.Retrying](told)) != 1 {
		t.Errorf("%v, %+v, told %v", err, r, of[mirror.Restarted](told))
	}
	if f, _ := s.File("/f"); !bytes.Equal(f.Data, content(length)) {
		t.Error("the file differs")
	}
}

// The server's 426 overtook the data connection's handshake, and the part was
// taken for one that nobody may read: the upload began again.
func TestAComparisonThatDoesNotBeginIsTakenUpAgain(t *testing.T) {
	for _, code := range []int{425, 426} {
		var refused atomic.Bool
		s, tr, told, local := brokenUpload(t, hooks{"RETR": func(c *hostile.Session, _ string) bool {
			if refused.Swap(true) {
				return false
			}
			c.Reply(code, "no data connection")
			return true
		}}, without("HASH")...)
		tr.SetRetries(1)
		r, err := tr.Put(within(t), local, "/f", mirror.Options{Resume: true})
		if err != nil || len(of[mirror.Restarted](told)) != 0 || len(of[mirror.Retrying](told)) != 1 {
			t.Errorf("%d: %v, %+v, told %v", code, err, r, of[mirror.Restarted](told))
		}
		if f, _ := s.File("/f"); !bytes.Equal(f.Data, content(length)) {
			t.Errorf("%d: the file differs", code)
		}
	}
}

// The piece that was fetched again, to be held against the part, broke off,
// and the part was taken for another file's.
func TestAnOverlapThatBreaksOffIsTakenUpAgain(t *testing.T) {
	var times atomic.Int32
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"RETR": func(c *hostile.Session, _ string) bool {
		sent := content(length)[:cutAt]
		switch times.Add(1) {
		case 1:
		case 2: // from 64 KiB before the part's end on
			sent = sent[cutAt-64<<10:][:10]
		default:
			return false
		}
		sendCut(t, c, sent)
		return true
	}}})
	s.Put("/f", content(length), longAgo)
	tr, told := transfer(t, s, func(cfg *mirror.Config) { cfg.Retries = 2 })
	local := filepath.Join(t.TempDir(), "f")
	if _, err := tr.Get(within(t), "/f", local, mirror.Options{}); err != nil {
		t.Fatal(err)
	}
	if again, tries := of[mirror.Restarted](told), of[mirror.Retrying](told); len(again) != 0 || len(tries) != 2 {
		t.Errorf("told %v, %v", again, tries)
	}
	if b, _ := os.ReadFile(local); !bytes.Equal(b, content(length)) {
		t.Error("the file differs")
	}
}

// The server may not have noticed yet that the connection of the upload
// before is gone.
func TestAnUploadThatTheServerStillHoldsIsTriedAgain(t *testing.T) {
	var refused atomic.Bool
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"STOR": func(s *hostile.Session, _ string) bool {
		if refused.Swap(true) {
			return false
		}
		s.Reply(450, "In use by another transfer")
		return true
	}}})
	local := filepath.Join(t.TempDir(), "f")
	write(t, local, content(length), longAgo)
	tr, told := transfer(t, s, func(cfg *mirror.Config) { cfg.Retries = 1 })
	if _, err := tr.Put(within(t), local, "/f", mirror.Options{}); err != nil || len(of[mirror.Retrying](told)) != 1 {
		t.Errorf("%v, told %v", err, of[mirror.Retrying](told))
	}
	if f, _ := s.File("/f"); !bytes.Equal(f.Data, content(length)) {
		t.Error("the file differs")
	}
}

// The time of an upload is a courtesy, but a connection that breaks while it
// is set says so, instead of being found closed at the next step.
func TestAConnectionLostWhileTheTimeIsSetIsSaidAsSuch(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"MFMT": func(s *hostile.Session, _ string) bool {
		s.Hangup()
		return true
	}}})
	local := filepath.Join(t.TempDir(), "f")
	write(t, local, content(length), longAgo)
	tr, _ := transfer(t, s, nil)
	if _, err := tr.Put(within(t), local, "/f", mirror.Options{}); !errors.Is(err, ftpclient.ErrLost) {
		t.Errorf("%v", err)
	}
}
