package mirror_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
	"ftps/pkg/mirror"
)

type hooks = map[string]func(*hostile.Session, string) bool

// awkward are names that have tripped up somebody.
var awkward = []string{
	"plain", "two words", "ñandú", "日本語", "🙂", "-rf", "100%", "a'b\"c", "x.part", "x", "[glob]*",
	strings.Repeat("n", 255), strings.Repeat("ñ", 127),
}

func TestATreeTravelsBothWays(t *testing.T) {
	s := hostile.Start(t, hostile.Options{RequireReuse: true})
	from := t.TempDir()
	want := map[string]string{"empty/": "", "deep/": "", "deep/er/": ""}
	for i, name := range awkward {
		b := content(i * 1000)
		write(t, filepath.Join(from, name), b, longAgo)
		write(t, filepath.Join(from, "deep", "er", name), b, longAgo)
		want[name], want["deep/er/"+name] = string(b), string(b)
	}
	os.Mkdir(filepath.Join(from, "empty"), 0o777)
	big := content(3 << 20)
	write(t, filepath.Join(from, "big"), big, longAgo)
	want["big"] = string(big)

	tr, told := transfer(t, s, nil)
	r, err := tr.Put(within(t), from, "/up", mirror.Options{Recursive: true})
	if err != nil {
		t.Fatalf("Put: %v %+v", err, r)
	}
	to := filepath.Join(t.TempDir(), "down")
	r, err = tr.Get(within(t), "/up", to, mirror.Options{Recursive: true})
	if err != nil {
		t.Fatalf("Get: %v %+v", err, r)
	}
	if got := files(t, to); !maps.Equal(got, want) {
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("%q differs or is missing", name)
			}
		}
		t.Errorf("%d names came back, want %d", len(got), len(want))
	}
	if r.Files != 2*len(awkward)+1 || r.Bytes == 0 {
		t.Errorf("result %+v", r)
	}
	for _, d := range of[mirror.Done](told) {
		if d.Verified != mirror.ByHash || len(d.SHA256) != sha256.Size {
			t.Errorf("%s: verified by %v", d.Item.Remote, d.Verified)
		}
	}
	info, err := os.Stat(filepath.Join(to, "plain"))
	if err != nil || !info.ModTime().Equal(longAgo) {
		t.Errorf("the time is %v, want %v", info.ModTime(), longAgo)
	}
	for i, stamp := range s.Stamps() {
		if !strings.HasSuffix(stamp, "/control") {
			t.Errorf("data connection %d resumed %q", i, stamp)
		}
	}
}

func TestFilesAreProvenByTheirHash(t *testing.T) {
	s := hostile.Start(t, hostile.Options{})
	want := content(300_000)
	s.Put("/f", want, longAgo)
	tr, told := transfer(t, s, nil)
	dir := t.TempDir()
	if _, err := tr.Get(within(t), "/f", dir, mirror.Options{}); err != nil {
		t.Fatal(err)
	}
	done := of[mirror.Done](told)
	sum := sha256.Sum256(want)
	if len(done) != 1 || !bytes.Equal(done[0].SHA256, sum[:]) || done[0].Bytes != int64(len(want)) {
		t.Errorf("done %+v", done)
	}
	var moved int64
	for _, m := range of[mirror.Moved](told) {
		moved += m.N
	}
	if moved != int64(len(want)) {
		t.Errorf("%d bytes were told, want %d", moved, len(want))
	}
}

func TestAFolderNeedsToBeAskedFor(t *testing.T) {
	s := hostile.Start(t, hostile.Options{})
	s.Mkdir("/d")
	tr, _ := transfer(t, s, nil)
	if _, err := tr.Get(within(t), "/d", t.TempDir(), mirror.Options{}); !errors.Is(err, mirror.ErrIsFolder) {
		t.Errorf("Get: %v", err)
	}
	if _, err := tr.Put(within(t), t.TempDir(), "/", mirror.Options{}); !errors.Is(err, mirror.ErrIsFolder) {
		t.Errorf("Put: %v", err)
	}
	_, err := tr.Get(within(t), "/nothing", t.TempDir(), mirror.Options{})
	if ftpclient.Class(err) != ftpclient.NotFound {
		t.Errorf("missing: %v", err)
	}
	_, err = tr.Put(within(t), filepath.Join(t.TempDir(), "nothing"), "/", mirror.Options{})
	if ftpclient.Class(err) != ftpclient.NotFound {
		t.Errorf("missing here: %v", err)
	}
}

func TestTheServersLimitIsLearned(t *testing.T) {
	for _, allowed := range []int{1, 2} {
		t.Run(fmt.Sprint(allowed), func(t *testing.T) {
			s := hostile.Start(t, hostile.Options{MaxSessions: allowed})
			for i := range 40 {
				s.Put(fmt.Sprintf("/d/%d", i), content(20_000), longAgo)
			}
			// The shell's own connection is one of those that are allowed.
			c, err := dial(s)(within(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			tr, _ := transfer(t, s, func(cfg *mirror.Config) { cfg.Conn, cfg.Jobs = c, 6 })
			r, err := tr.Get(within(t), "/d", t.TempDir(), mirror.Options{Recursive: true})
			if err != nil || r.Files != 40 || r.Limit != allowed {
				t.Errorf("%v, %+v", err, r)
			}
			if err := c.Noop(within(t)); err != nil {
				t.Errorf("the shell's connection: %v", err)
			}
			if s.Refused() > 5 {
				t.Errorf("asked %d times for more", s.Refused())
			}
		})
	}
}

func TestAServerThatNobodyReachesIsAnError(t *testing.T) {
	s := hostile.Start(t, hostile.Options{})
	tr, _ := transfer(t, s, nil)
	s.Close()
	if _, err := tr.Get(within(t), "/f", t.TempDir(), mirror.Options{}); ftpclient.Class(err) != ftpclient.CannotConnect {
		t.Errorf("got %v", err)
	}
}

func TestHostileNamesStayInsideTheTarget(t *testing.T) {
	evil := "type=file;size=4; ../escaped\r\ntype=dir; ..\r\ntype=file;size=4; /tmp/escaped\r\n" +
		"type=file;size=4; link/escaped\r\ntype=dir; link\r\ntype=file;size=4; good\r\n"
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"MLSD": func(s *hostile.Session, arg string) bool {
		if arg != "/d" {
			evil = "type=file;size=4; escaped\r\n"
		}
		send(t, s, []byte(evil), 226)
		return true
	}}})
	for _, name := range []string{"/d/good", "/d/link/escaped", "/escaped"} {
		s.Put(name, []byte("evil"), longAgo)
	}
	base := t.TempDir()
	outside, target := filepath.Join(base, "outside"), filepath.Join(base, "target")
	os.Mkdir(outside, 0o777)
	os.Mkdir(target, 0o777)
	// As if an earlier file of the same server had been this symlink.
	os.MkdirAll(filepath.Join(target, "d"), 0o777)
	if err := os.Symlink(outside, filepath.Join(target, "d", "link")); err != nil {
		t.Fatal(err)
	}
	tr, _ := transfer(t, s, nil)
	r, err := tr.Get(within(t), "/d", target, mirror.Options{Recursive: true})
	if ftpclient.Class(err) != ftpclient.SomeFailed || r.Files != 1 {
		t.Errorf("got %v, %+v", err, r)
	}
	if left := files(t, outside); len(left) != 0 {
		t.Errorf("outside the target: %q", left)
	}
	for name := range files(t, base) {
		if strings.Contains(name, "escaped") {
			t.Errorf("written: %s", name)
		}
	}
	if b, err := os.ReadFile(filepath.Join(target, "d", "good")); string(b) != "evil" || err != nil {
		t.Errorf("the good file: %q, %v", b, err)
	}
}

// send answers a command with data and a final reply.
func send(t *testing.T, s *hostile.Session, b []byte, code int) {
	s.Reply(150, "go")
	tc, _, _, err := s.Data()
	if err != nil {
		t.Error(err)
		return
	}
	tc.Write(b)
	tc.CloseWrite()
	io.Copy(io.Discard, tc)
	tc.Close()
	s.Reply(code, "so it is")
}

func TestAGapInTheScanIsToldAndCounts(t *testing.T) {
	for name, hook := range map[string]func(t *testing.T, s *hostile.Session){
		"a line that nobody understands": func(t *testing.T, s *hostile.Session) {
			send(t, s, []byte("type=file;size=1; a\r\nwhat is this\r\n"), 226)
		},
		"426 behind the listing": func(t *testing.T, s *hostile.Session) {
			send(t, s, []byte("type=file;size=1; a\r\n"), 426)
		},
		"450 instead of it": func(_ *testing.T, s *hostile.Session) { s.Reply(450, "busy") },
	} {
		t.Run(name, func(t *testing.T) {
			s := hostile.Start(t, hostile.Options{Hooks: hooks{"MLSD": func(s *hostile.Session, arg string) bool {
				if arg != "/d/sub" {
					return false
				}
				hook(t, s)
				return true
			}}})
			s.Put("/d/f", []byte("x"), longAgo)
			s.Put("/d/sub/a", []byte("y"), longAgo)
			tr, told := transfer(t, s, nil)
			r, err := tr.Get(within(t), "/d", t.TempDir(), mirror.Options{Recursive: true})
			if ftpclient.Class(err) != ftpclient.SomeFailed || len(r.Gaps) != 1 || r.Files < 1 || len(r.Failed) > 0 {
				t.Errorf("got %v, %+v", err, r)
			}
			if len(of[mirror.Gap](told)) != 1 {
				t.Error("the gap was not told")
			}
		})
	}
}

func TestATreeWithoutAnEndIsGivenUp(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"MLSD": func(s *hostile.Session, _ string) bool {
		send(t, s, []byte("type=dir; again\r\n"), 226)
		return true
	}}})
	s.Mkdir("/d")
	tr, _ := transfer(t, s, nil)
	if _, err := tr.Get(within(t), "/d", t.TempDir(), mirror.Options{Recursive: true}); !errors.Is(err, mirror.ErrTooDeep) {
		t.Errorf("got %v", err)
	}
}

func TestSymlinksInALocalTreeAreNotFollowedOut(t *testing.T) {
	s := hostile.Start(t, hostile.Options{})
	base := t.TempDir()
	write(t, filepath.Join(base, "secret"), []byte("secret"), longAgo)
	write(t, filepath.Join(base, "tree", "real"), []byte("real"), longAgo)
	os.Symlink("../secret", filepath.Join(base, "tree", "out"))
	os.Symlink("..", filepath.Join(base, "tree", "up"))
	os.Symlink("real", filepath.Join(base, "tree", "in"))
	os.Symlink("nowhere", filepath.Join(base, "tree", "broken"))
	tr, told := transfer(t, s, nil)
	r, err := tr.Put(within(t), filepath.Join(base, "tree"), "/", mirror.Options{Recursive: true})
	if err != nil || r.Files != 2 || r.Skipped != 3 {
		t.Errorf("%v, %+v", err, r)
	}
	if got := fmt.Sprint(s.Names()); got != "[/ /tree /tree/in /tree/real]" {
		t.Errorf("on the server: %s", got)
	}
	if len(of[mirror.Skipped](told)) != 3 {
		t.Error("what was skipped was not told")
	}
}

func TestAFullDiskEndsTheRun(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: hooks{"STOR": func(s *hostile.Session, _ string) bool {
		s.Reply(552, "quota")
		return true
	}}})
	from := t.TempDir()
	for i := range 200 {
		write(t, filepath.Join(from, fmt.Sprint(i)), []byte("x"), longAgo)
	}
	tr, _ := transfer(t, s, nil)
	_, err := tr.Put(within(t), from, "/up", mirror.Options{Recursive: true})
	if ftpclient.Class(err) != ftpclient.NoSpace {
		t.Errorf("got %v", err)
	}
	if n := s.Count("STOR"); n > 20 {
		t.Errorf("%d files were tried", n)
	}
}

func TestCancellingEndsTheRunAndLeavesNoHalfFile(t *testing.T) {
	s := hostile.Start(t, hostile.Options{BlockSize: 1000})
	for i := range 20 {
		s.Put(fmt.Sprintf("/d/%d", i), content(4<<20), longAgo)
	}
	ctx, cancel := context.WithCancel(within(t))
	tr, _ := transfer(t, s, func(cfg *mirror.Config) {
		next := cfg.Progress
		cfg.Progress = func(e mirror.Event) {
			next(e)
			if _, ok := e.(mirror.Moved); ok {
				cancel()
			}
		}
	})
	to := filepath.Join(t.TempDir(), "d")
	_, err := tr.Get(ctx, "/d", to, mirror.Options{Recursive: true})
	if ftpclient.Class(err) != ftpclient.Interrupted {
		t.Errorf("got %v", err)
	}
	for name, b := range files(t, to) {
		if !strings.Contains(name, ".part") && len(b) != 4<<20 {
			t.Errorf("%s has %d bytes", name, len(b))
		}
	}
}

func TestPlace(t *testing.T) {
	for _, v := range []struct {
		source, target string
		folder, local  bool
		want           string
	}{
		{"/a/f", "", false, true, "f"},
		{"/a/f", ".", true, true, "f"},
		{"/a/f", "dir", true, true, "dir/f"},
		{"/a/f", "dir/", true, true, "dir/f"},
		{"/a/f", "new", false, true, "new"},
		{"/a/f", "new/", false, true, "!"},
		{"/", "dir", true, true, "dir"},
		{".", "dir", true, true, "dir"},
		{"..", "dir", true, true, "dir"},
		{"/", "new", false, true, "new"},
		{"/a/d/", "dir", true, true, "dir/d"},
		{"d/f", "/srv", true, false, "/srv/f"},
		{"d/f", "/srv/x", false, false, "/srv/x"},
		{"d/f", "/", true, false, "/f"},
		{"d/f", "", false, false, "f"},
		{"/", "/srv", true, false, "/srv"},
	} {
		got, err := mirror.Place(v.source, v.target, v.folder, v.local)
		if err != nil {
			got = "!"
		}
		if got != v.want {
			t.Errorf("Place(%q, %q, %v, %v) = %q, want %q", v.source, v.target, v.folder, v.local, got, v.want)
		}
	}
}
