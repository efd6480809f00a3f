package pki

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func pinNumber(n byte) Pin { return Pin{n} }

func knownIn(t *testing.T, text string) *KnownHosts {
	t.Helper()
	k := OpenKnownHosts(filepath.Join(t.TempDir(), "known_hosts"))
	if text != "" {
		if err := os.WriteFile(k.Path(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func TestHostKeyIsCanonical(t *testing.T) {
	for _, c := range []struct {
		host string
		port int
		want string
	}{
		{"Files.Example.ORG", 5000, "files.example.org"},
		{"files.example.org.", 5000, "files.example.org"},
		{"files.example.org", 21, "[files.example.org]:21"},
		{"192.0.2.7", 5000, "192.0.2.7"},
		{"::ffff:192.0.2.7", 990, "[192.0.2.7]:990"},
		{"2001:DB8:0:0::1", 5000, "2001:db8::1"},
		{"[2001:db8::1]", 21, "[2001:db8::1]:21"},
		{"fe80::1%eth0", 5000, "fe80::1%eth0"},
	} {
		if got, err := HostKey(c.host, c.port); err != nil || got != c.want {
			t.Errorf("HostKey(%q, %d) = %q, %v, want %q", c.host, c.port, got, err, c.want)
		}
	}
	for _, host := range []string{"", ".", "a b", "a\nb", "a#b", "[::1", "x:y", "a\x1b", strings.Repeat("a", 256)} {
		if got, err := HostKey(host, 5000); !errors.Is(err, ErrBadName) {
			t.Errorf("HostKey(%q) = %q, %v", host, got, err)
		}
	}
	if _, err := HostKey("a", 0); err == nil {
		t.Error("port 0 is taken")
	}
}

func TestKnownHostsReadsWhatAPersonWrote(t *testing.T) {
	k := knownIn(t, "\ufeff# my servers\r\n"+
		"\n"+
		"Files.Example.org "+pinNumber(1).String()+" "+pinNumber(2).String()+"  # rotates\r\n"+
		"[files.example.org]:21 ca\n"+
		"[2001:DB8::0:1]:5000 "+pinNumber(3).String()+"\n"+
		"broken.example hunter2\n"+
		"empty.example # forgot\n"+
		"files.example.org "+pinNumber(4).String())
	known, err := k.Lookup("files.example.org", 5000)
	if err != nil || len(known.Pins) != 3 || known.Line != 3 || known.CA {
		t.Errorf("%+v, %v", known, err)
	}
	if known, err := k.Lookup("files.example.org", 21); err != nil || !known.CA || known.Line != 4 {
		t.Errorf("%+v, %v", known, err)
	}
	if known, err := k.Lookup("2001:db8::1", 5000); err != nil || known.Line != 5 {
		t.Errorf("%+v, %v", known, err)
	}
	if known, err := k.Lookup("other.example", 5000); err != nil || known.Line != 0 {
		t.Errorf("%+v, %v", known, err)
	}
	for host, line := range map[string]string{"broken.example": "6", "empty.example": "7"} {
		_, err := k.Lookup(host, 5000)
		hasKey(t, err, "pki.known.line")
		if !strings.Contains(err.Error(), k.Path()+" "+line) {
			t.Errorf("%v does not name line %s", err, line)
		}
	}
}

func TestKnownHostsKeepsWhatIsThere(t *testing.T) {
	before := "# my servers\n\nother.example " + pinNumber(9).String() + " # remark\nnot a line at all"
	k := knownIn(t, before)
	if err := k.LearnPin("New.Example", 2121, pinNumber(1)); err != nil {
		t.Fatal(err)
	}
	if err := k.LearnCA("ca.example", 5000); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what is known already is not written again
		if err := k.LearnPin("new.example", 2121, pinNumber(1)); err != nil {
			t.Fatal(err)
		}
		if err := k.AddPin("new.example", 2121, pinNumber(2)); err != nil {
			t.Fatal(err)
		}
	}
	want := before + "\n[new.example]:2121 " + pinNumber(1).String() + "\nca.example ca\n[new.example]:2121 " + pinNumber(2).String() + "\n"
	if got := readFile(t, k.Path()); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	err := k.LearnPin("new.example", 2121, pinNumber(3))
	if !errors.Is(err, ErrKeyChanged) || readFile(t, k.Path()) != want {
		t.Errorf("a second first key: %v", err)
	}
}

func TestKnownHostsIsTheUsersOwn(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	path, err := DefaultKnownHosts()
	if err != nil {
		t.Fatal(err)
	}
	if err := OpenKnownHosts(path).LearnPin("a.example", 5000, pinNumber(1)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

func TestKnownHostsBehindALinkIsReplacedThere(t *testing.T) {
	target := knownIn(t, "# dotfiles\n")
	link := OpenKnownHosts(filepath.Join(t.TempDir(), "known_hosts"))
	if err := os.Symlink(target.Path(), link.Path()); err != nil {
		t.Fatal(err)
	}
	if err := link.LearnCA("a.example", 5000); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, target.Path()); got != "# dotfiles\na.example ca\n" {
		t.Errorf("the target holds %q", got)
	}
	if info, err := os.Lstat(link.Path()); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
}

func TestKnownHostsLosesNoLineToConcurrentWriters(t *testing.T) {
	k := knownIn(t, "")
	var writers sync.WaitGroup
	for i := range 20 {
		writers.Go(func() {
			// Each as a process of its own would.
			if err := OpenKnownHosts(k.Path()).LearnPin("host.example", 6000+i, pinNumber(byte(i+1))); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	for i := range 20 {
		if known, err := k.Lookup("host.example", 6000+i); err != nil || known.Line == 0 {
			t.Errorf("port %d: %+v, %v", 6000+i, known, err)
		}
	}
	left, _ := os.ReadDir(filepath.Dir(k.Path()))
	if len(left) != 2 { // the file and its lock
		t.Errorf("left behind: %v", left)
	}
}

func TestOnlyOneFirstKeyWins(t *testing.T) {
	k := knownIn(t, "")
	errs := make(chan error, 10)
	for i := range 10 {
		go func() { errs <- k.LearnPin("host.example", 5000, pinNumber(byte(i+1))) }()
	}
	won := 0
	for range 10 {
		if err := <-errs; err == nil {
			won++
		} else if !errors.Is(err, ErrKeyChanged) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d keys were taken as the first", won)
	}
}

func TestAHostOfEmptyLabelsIsNoHost(t *testing.T) {
	for _, host := range []string{"..", ".", "a..", "[a.]", ""} {
		if key, err := HostKey(host, 5000); err == nil {
			t.Errorf("%q is kept as %q", host, key)
		}
	}
}

func FuzzKnownHosts(f *testing.F) {
	f.Add("a.example "+pinNumber(1).String()+"\n", "a.example", uint16(5000))
	f.Add("[::1]:21 ca\n# x\n[", "::1", uint16(21))
	f.Add("]: ca\n[]: x\n\ufeff", "[x]", uint16(1))
	f.Add("0", "..", uint16(5000))
	f.Add("0", "[x.]", uint16(5000))
	f.Fuzz(func(t *testing.T, text, host string, port uint16) {
		key, err := HostKey(host, int(port))
		if err != nil {
			return
		}
		if got := normalKey(key); got != key {
			t.Fatalf("host %q is written %q, which reads as %q", host, key, got)
		}
		if words := lineWords(key + " ca"); len(words) != 2 {
			t.Fatalf("%q is %d words", key, len(words))
		}
		k := OpenKnownHosts("known_hosts")
		known, err := k.find([]byte(text), key)
		if err != nil || known.Line != 0 {
			return
		}
		// A line that is added to any file whatever is found again.
		known, err = k.find(appendLine([]byte(text), key+" "+pinNumber(7).String()), key)
		if err != nil || len(known.Pins) != 1 || known.Pins[0] != pinNumber(7) {
			t.Fatalf("added, but found %+v, %v", known, err)
		}
	})
}
