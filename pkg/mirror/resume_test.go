package mirror_test

import (
	"bytes"
	"errors"
	"io"
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
		s.Reply(150, "go")
		tc, raw, _, err := s.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		tc.Write(b[:at])
		raw.(interface{ CloseWrite() error }).CloseWrite()
		io.Copy(io.Discard, raw)
		raw.Close()
		s.Reply(426, "cut")
		return true
	}}
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

// brokenUpload leaves the beginning of a file on the server.
func brokenUpload(t *testing.T, hidden bool) (*hostile.Server, *mirror.Transfer, *events, string) {
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
	if hidden {
		h["RETR"] = func(s *hostile.Session, _ string) bool { s.Reply(550, "no such file"); return true }
	}
	s := hostile.Start(t, hostile.Options{Hooks: h})
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
			s, tr, told, local := brokenUpload(t, hidden)
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
	s, tr, told, local := brokenUpload(t, true)
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
			s, tr, told, local := brokenUpload(t, false)
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
