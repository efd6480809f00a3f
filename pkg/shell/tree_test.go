package shell

import (
	"slices"
	"strings"
	"testing"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

func TestDuAndFindSeeAllBelow(t *testing.T) {
	st := newStage(t)
	st.server.add("/docs/deep", ftp.Dir, 0)
	st.server.add("/docs/deep/more.txt", ftp.File, 100)
	st.server.add("/docs/deep/x\x1b[2J.bin", ftp.File, 1000)
	out, _, err := st.run(t, "find docs *.txt")
	if got := lines(out); err != nil || !slices.Equal(got, []string{"docs/notes.txt", "docs/deep/more.txt"}) {
		t.Errorf("%v %q", err, got)
	}
	out, _, err = st.run(t, "find")
	if err != nil || len(lines(out)) != 6 || strings.Contains(out, "\x1b") {
		t.Errorf("%v %q", err, out)
	}
	out, _, err = st.run(t, "du docs")
	if err != nil || !strings.Contains(out, "3 files: docs") {
		t.Errorf("%v %q", err, out)
	}
	if _, _, err := st.run(t, "find docs [a"); ftpclient.Class(err) != ftpclient.Usage {
		t.Errorf("%v", err)
	}
}

func TestACountWithAGapFails(t *testing.T) {
	st := newStage(t)
	st.server.bad = []error{&ftpclient.UnknownLineError{Line: "what"}}
	if _, errs, err := st.run(t, "du docs"); err == nil || !strings.Contains(errs, "not seen") {
		t.Errorf("%v %q", err, errs)
	}
}

func TestHashIsTheServers(t *testing.T) {
	st := newStage(t)
	if _, errs, err := st.run(t, "hash hello.txt"); err == nil || !strings.Contains(errs, "no hashes") {
		t.Errorf("%v %q", err, errs)
	}
	st.server.hash = "SHA-256"
	out, _, err := st.run(t, "hash hello.txt")
	if err != nil || !strings.HasPrefix(out, "73756d") || !strings.HasSuffix(out, "  hello.txt\n") {
		t.Errorf("%v %q", err, out)
	}
	if _, _, err := st.run(t, "hash nothing"); ftpclient.Class(err) != ftpclient.NotFound {
		t.Errorf("%v", err)
	}
}

func TestChmodTakesOctalModes(t *testing.T) {
	st := newStage(t)
	if _, _, err := st.run(t, "chmod 640 a b"); err != nil || !slices.Equal(st.server.quoted, []string{"CHMOD 640 a", "CHMOD 640 b"}) {
		t.Errorf("%v %q", err, st.server.quoted)
	}
	for _, line := range []string{"chmod 640", "chmod u+x a", "chmod 1777 a", "chmod 8 a"} {
		if _, _, err := st.run(t, line); ftpclient.Class(err) != ftpclient.Usage {
			t.Errorf("%s: %v", line, err)
		}
	}
}
