package ftpclient_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
)

// listing answers MLSD with text as it stands.
func listing(t *testing.T, verb, text string) hooks {
	return hooks{verb: func(s *hostile.Session, _ string) bool {
		s.Reply(150, "go")
		tc, _, _, err := s.Data()
		if err != nil {
			t.Error(err)
			return true
		}
		io.WriteString(tc, text)
		tc.CloseWrite()
		io.Copy(io.Discard, tc)
		tc.Close()
		s.Reply(226, "done")
		return true
	}}
}

func list(t *testing.T, c *ftpclient.Conn) (names []string, gaps []error) {
	t.Helper()
	for e, err := range c.List(within(t), "") {
		if err != nil {
			gaps = append(gaps, err)
			continue
		}
		names = append(names, e.Name)
	}
	return names, gaps
}

func TestNamesThatLeadElsewhereAreGapsInAListing(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: listing(t, "MLSD", ""+
		"type=file;size=1; good\r\n"+
		"type=file;size=1; ../../.ssh/authorized_keys\r\n"+
		"type=file;size=1; /etc/passwd\r\n"+
		"type=file;size=1; ..\\windows\r\n"+
		"type=dir; ..\r\n"+
		"type=pdir; ..\r\n"+
		"type=file;size=1; nul\x00led\r\n"+
		"type=file;size=1; carriage\rreturn\r\n"+
		"type=file;size=1; also good\n")})
	c := login(t, s, nil)
	names, gaps := list(t, c)
	if !slices.Equal(names, []string{"good", "also good"}) {
		t.Errorf("names %q", names)
	}
	if len(gaps) != 5 {
		t.Errorf("%d gaps: %v", len(gaps), gaps)
	}
	for _, err := range gaps {
		var name *ftpclient.NameError
		var line *ftpclient.UnknownLineError
		if !errors.As(err, &name) && !errors.As(err, &line) {
			t.Errorf("gap %v", err)
		}
	}
	inStep(t, c)
}

func TestALineThatIsNotUnderstoodIsShownNeverSkipped(t *testing.T) {
	s := hostile.Start(t, hostile.Options{
		Features: []string{"UTF8"},
		Hooks: listing(t, "LIST", "total 3\r\n"+
			"-rw-r--r--   1 owner group   3 Jan  2 15:04 one\r\n"+
			"what is this\r\n"+
			"drwxr-xr-x   2 owner group   3 Jan  2 15:04 two words\r\n"),
	})
	c := login(t, s, nil)
	names, gaps := list(t, c)
	if !slices.Equal(names, []string{"one", "two words"}) || len(gaps) != 1 {
		t.Errorf("names %q, gaps %v", names, gaps)
	}
	var unknown *ftpclient.UnknownLineError
	if len(gaps) > 0 && (!errors.As(gaps[0], &unknown) || unknown.Line != "what is this") {
		t.Errorf("gap %v", gaps[0])
	}
}

func TestAListingCutInMidLineIsNotComplete(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: listing(t, "MLSD", "type=file;size=1; good\r\ntype=file;size=1; ba")})
	c := login(t, s, nil)
	names, gaps := list(t, c)
	if !slices.Equal(names, []string{"good"}) || len(gaps) != 1 {
		t.Errorf("names %q, gaps %v", names, gaps)
	}
}

func TestALineWithoutAnEndStopsTheListing(t *testing.T) {
	s := hostile.Start(t, hostile.Options{Hooks: listing(t, "MLSD", "type=file;size=1; good\r\n"+strings.Repeat("x", 4<<20))})
	c := login(t, s, nil)
	names, gaps := list(t, c)
	if !slices.Equal(names, []string{"good"}) || len(gaps) == 0 {
		t.Errorf("names %q, gaps %v", names, gaps)
	}
	inStep(t, c)
}

// Short lines take fifty times their bytes: a bound of bytes alone lets a
// server fill the memory.
func TestAListingOfTooManyShortLinesIsGivenUp(t *testing.T) {
	for what, line := range map[string]string{"entries": "; %d\r\n", "nonsense": "%d\r\n"} {
		t.Run(what, func(t *testing.T) {
			var b strings.Builder
			for i := range 2000 {
				fmt.Fprintf(&b, line, i)
			}
			s := hostile.Start(t, hostile.Options{Hooks: listing(t, "MLSD", b.String())})
			read := func(most int) (lines int, last error) {
				c := login(t, s, func(c *ftpclient.Config) { c.MaxLines = most })
				for _, err := range c.List(within(t), "") {
					lines++
					last = err
				}
				inStep(t, c)
				return lines, last
			}
			if lines, err := read(1000); lines != 1001 || !errors.Is(err, ftpclient.ErrListingTooLong) {
				t.Errorf("%d lines, %v", lines, err)
			}
			// The control: without the bound all of them come.
			if lines, err := read(1 << 30); lines != 2000 || errors.Is(err, ftpclient.ErrListingTooLong) {
				t.Errorf("%d lines, %v: this shows nothing", lines, err)
			}
		})
	}
}

func TestAListingMayBeLeftEarly(t *testing.T) {
	s := hostile.Start(t, hostile.Options{})
	for i := range 50_000 {
		s.Put("/f"+strings.Repeat("x", 100)+string(rune('a'+i%26))+ftp.FormatTime(time.Unix(int64(i), 0)), nil, time.Now())
	}
	c := login(t, s, nil)
	for range c.List(within(t), "/") {
		break
	}
	inStep(t, c)
}

func TestListWithoutMLSDOfAnAwkwardName(t *testing.T) {
	// LIST would take these for options, patterns or two names.
	s := hostile.Start(t, hostile.Options{Features: []string{"UTF8"}})
	c := login(t, s, nil)
	for _, dir := range []string{"-al", "a b", "[x]*"} {
		s.Put("/"+dir+"/inside", nil, time.Now())
		n := 0
		for e, err := range c.List(within(t), dir) {
			if err != nil || e.Name != "inside" {
				t.Errorf("%q: %q, %v", dir, e.Name, err)
			}
			n++
		}
		if n != 1 {
			t.Errorf("%q: %d entries", dir, n)
		}
		if pwd, err := c.Pwd(within(t)); pwd != "/" || err != nil {
			t.Errorf("the working folder is now %q, %v", pwd, err)
		}
	}
	for _, err := range c.List(within(t), "no such") {
		if ftpclient.Class(err) != ftpclient.NotFound {
			t.Errorf("a folder that is missing: %v", err)
		}
	}
	inStep(t, c)
}

func TestStatWithAndWithoutMLST(t *testing.T) {
	when := time.Date(time.Now().Year()-2, 5, 4, 3, 2, 1, 0, time.UTC)
	for name, features := range map[string][]string{"MLST": nil, "LIST": {"MDTM"}} {
		t.Run(name, func(t *testing.T) {
			s := hostile.Start(t, hostile.Options{Features: features})
			s.Put("/d/f", []byte("12345"), when)
			c := login(t, s, nil)
			e, err := c.Stat(within(t), "/d/f")
			if err != nil || e.Name != "f" || e.Type != ftp.File || e.Size != 5 || !e.ModTime.Equal(when) || !e.Precise {
				t.Errorf("file: %+v, %v", e, err)
			}
			e, err = c.Stat(within(t), "d")
			if err != nil || e.Name != "d" || e.Type != ftp.Dir {
				t.Errorf("folder: %+v, %v", e, err)
			}
			if e, err = c.Stat(within(t), "/"); err != nil || e.Type != ftp.Dir {
				t.Errorf("root: %+v, %v", e, err)
			}
			if _, err = c.Stat(within(t), "/d/g"); ftpclient.Class(err) != ftpclient.NotFound {
				t.Errorf("missing: %v", err)
			}
		})
	}
}

func TestCommandsOnNames(t *testing.T) {
	s := hostile.Start(t, hostile.Options{})
	c := login(t, s, nil)
	ctx := within(t)
	when := time.Date(2020, 2, 29, 1, 2, 3, 0, time.UTC)
	s.Put("/a", []byte("abc"), time.Now())
	for what, err := range map[string]error{
		"Mkdir":      c.Mkdir(ctx, "d"),
		"Cwd":        c.Cwd(ctx, "d"),
		"CdUp":       c.CdUp(ctx),
		"SetModTime": c.SetModTime(ctx, "a", when),
		"Rename":     c.Rename(ctx, "a", "d/b"),
		"Noop":       c.Noop(ctx),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n, err := c.Size(ctx, "/d/b"); n != 3 || err != nil {
		t.Errorf("Size: %d, %v", n, err)
	}
	h, err := c.Hash(ctx, "/d/b")
	if err != nil || h.Algorithm != "SHA-256" || h.Sum[0] != 0xba {
		t.Errorf("Hash: %+v, %v", h, err)
	}
	if err := c.Delete(ctx, "/d/b"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if err := c.Rmdir(ctx, "/d"); err != nil {
		t.Errorf("Rmdir: %v", err)
	}
	if names := s.Names(); !slices.Equal(names, []string{"/"}) {
		t.Errorf("left: %q", names)
	}
	if _, err := c.Size(ctx, "/d/b"); ftpclient.Class(err) != ftpclient.NotFound {
		t.Errorf("Size of nothing: %v", err)
	}
}

func TestNamesThatWouldBeCommandsAreRefusedNotAltered(t *testing.T) {
	s := hostile.Start(t, hostile.Options{})
	c := login(t, s, nil)
	ctx := within(t)
	before := len(s.Log())
	for _, name := range []string{"", "a\r\nDELE b", "a\nb", "keep\x00.txt"} {
		_, retrieve := c.Retrieve(ctx, name, 0)
		_, store := c.Store(ctx, name, ftpclient.StoreOptions{})
		_, size := c.Size(ctx, name)
		for _, err := range []error{retrieve, store, size, c.Delete(ctx, name), c.Mkdir(ctx, name), c.Rename(ctx, "a", name), c.Cwd(ctx, name)} {
			var refused *ftpclient.NameError
			if !errors.As(err, &refused) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	for _, line := range []string{"NOOP\r\nDELE b", "AUTH TLS", "prot c", "RETR x", "CCC"} {
		if _, err := c.Quote(ctx, line); err == nil {
			t.Errorf("Quote %q was sent", line)
		}
	}
	if log := s.Log()[before:]; len(log) != 0 {
		t.Errorf("sent: %q", log)
	}
}

func TestClasses(t *testing.T) {
	refusal := func(verb string, code int, text string) error {
		return &ftpclient.ReplyError{Command: verb, Reply: ftp.Reply{Code: code, Lines: []string{text}}}
	}
	for _, v := range []struct {
		err  error
		want ftpclient.ClassCode
	}{
		{nil, ftpclient.Done},
		{errors.New("x"), ftpclient.Other},
		{refusal("PASS", 530, "no"), ftpclient.LoginRefused},
		{refusal("RETR", 550, "no such file"), ftpclient.NotFound},
		{refusal("CWD", 550, "Acceso denegado"), ftpclient.NoPermission},
		{refusal("STOR", 550, "Not enough privileges."), ftpclient.NoPermission},
		{refusal("STOR", 553, "not this name"), ftpclient.NoPermission},
		{refusal("STOR", 552, "quota"), ftpclient.NoSpace},
		{refusal("STOR", 452, "full"), ftpclient.NoSpace},
		{refusal("RETR", 522, "reuse"), ftpclient.TLSFailed},
		{refusal("", 421, "full"), ftpclient.CannotConnect},
		{fs.ErrNotExist, ftpclient.NotFound},
		{fs.ErrPermission, ftpclient.NoPermission},
	} {
		if got := ftpclient.Class(v.err); got != v.want {
			t.Errorf("Class(%v) = %d, want %d", v.err, got, v.want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain ñ 日本":      "plain ñ 日本",
		"two\nlines":      "two\nlines",
		"\x1b[31mred\x07": `\x1b[31mred\x07`,
		"\xff":            `\xff`,
		"a\u202eb":        `a\u202eb`,
	} {
		if got := ftpclient.Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
}
