//go:build interop

package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tableFile is where the run writes what it did, as a Markdown table.
var tableFile = flag.String("table", "", "write what each client did to this Markdown file")

// The two accounts of these tests: one whose data connections must prove that
// they belong to the session, as is the default, and one for the clients that
// cannot.
const (
	strictUser   = "estricta"
	lenientUser  = "tolerante"
	peerPassword = "a secret, with: colon & 'quote'"
)

// site is a server with the two accounts, as a stock client sees it.
type site struct {
	*server
	cert string // its certificate, which the clients trust and nothing else
}

func startSite(t *testing.T, args ...string) *site {
	t.Helper()
	dir := t.TempDir()
	for _, account := range [][]string{{strictUser}, {lenientUser, "--session-reuse", "prefer"}} {
		add := append([]string{"useradd"}, append(account, "--password-stdin", "--cost", "4")...)
		if _, errs, code := run(t, dir, peerPassword+"\n", add...); code != 0 {
			t.Fatalf("useradd %s: exit %d: %s", account[0], code, errs)
		}
	}
	return &site{serveIn(t, dir, append([]string{"--lang", "en"}, args...)...), filepath.Join(dir, "certs", "server.crt")}
}

// home is the folder of an account on the disk.
func (s *site) home(user string) string { return filepath.Join(s.dir, "srv", user) }

// peerPatience bounds one run of one client.
func peerPatience() time.Duration {
	if *full {
		return 20 * time.Minute
	}
	return 3 * time.Minute
}

// peerRun runs a stock client to its end; a client that is not there is a
// failure, since nothing would be shown by a run without it.
func peerRun(t *testing.T, dir, stdin string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), peerPatience())
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(stdin), &out, &out
	cmd.Env = append(cleanEnv(t.TempDir()), env...)
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("it did not end within %v: %w", peerPatience(), err)
	}
	return out.String(), err
}

// mustRun is peerRun for what has to succeed.
func mustRun(t *testing.T, dir, stdin string, env []string, name string, args ...string) string {
	t.Helper()
	out, err := peerRun(t, dir, stdin, env, name, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, tail(out))
	}
	return out
}

func tail(out string) string {
	if len(out) > 6000 {
		return "…" + out[len(out)-6000:]
	}
	return out
}

// must ends the test when err is one.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cargo is a folder that clients move, and the SHA-256 of each file in it.
type cargo struct {
	name string
	what string // in words, for the table
	dir  string
	sums sums

	renamed int // files that are expected under other names
}

type sums map[string][sha256.Size]byte

// names returns the files' names, with slashes, in order.
func (c *cargo) names() []string {
	var names []string
	for name := range c.sums {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// only is the cargo without the files that keep refuses.
func (c *cargo) only(keep func(name string) bool) *cargo {
	less := *c
	less.sums = sums{}
	for name, hash := range c.sums {
		if keep(name) {
			less.sums[name] = hash
		}
	}
	less.renamed += len(c.sums) - len(less.sums)
	return &less
}

// oddNames are names that have broken one client or server or another.
var oddNames = []string{
	"with two  spaces", "año.txt", "漢字の名前", "🦜🦜.txt", "-leading dash", "100%25 %41.txt", "a#b?c.txt",
	"it's \"quoted\" & $HOME;", "[brackets]{braces}", "semi;colon,comma", ".hidden", "e\u0301 decomposed",
	strings.Repeat("ñ", 125) + "tenth", // 255 bytes
}

// newCargo makes a folder of the files that fill writes and sums it up.
func newCargo(t *testing.T, name, what string, fill func(dir string)) *cargo {
	t.Helper()
	c := &cargo{name: name, what: what, dir: filepath.Join(t.TempDir(), name)}
	must(t, os.Mkdir(c.dir, 0o755))
	fill(c.dir)
	c.sums = sum(t, c.dir)
	return c
}

func smallCargo(t *testing.T) *cargo {
	return newCargo(t, "small", "an empty file, 1 byte, "+fmt.Sprint(len(oddNames))+" odd names", func(dir string) {
		must(t, os.WriteFile(filepath.Join(dir, "empty"), nil, 0o644))
		must(t, os.WriteFile(filepath.Join(dir, "one"), []byte{0}, 0o644))
		below := filepath.Join(dir, "carpeta ñ #1 100%", "漢字")
		must(t, os.MkdirAll(below, 0o755))
		for i, name := range oddNames {
			must(t, os.WriteFile(filepath.Join(dir, name), seeded(i*1000+1, uint64(i)), 0o644))
		}
		must(t, os.WriteFile(filepath.Join(below, "deep down"), seeded(100_000, 99), 0o644))
	})
}

func bigCargo(t *testing.T) *cargo {
	size, what := int64(64<<20), "64 MiB"
	if *full {
		size, what = 1<<30, "1 GiB"
	}
	return newCargo(t, "big", what, func(dir string) {
		f, err := os.Create(filepath.Join(dir, "big.bin"))
		must(t, err)
		_, err = io.Copy(f, io.LimitReader(rand.NewChaCha8([32]byte{7}), size))
		must(t, errors.Join(err, f.Close()))
	})
}

// treeCargo is the first n files of Go's own source, or all.
func treeCargo(t *testing.T, n int) *cargo {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	must(t, err)
	src := filepath.Join(strings.TrimSpace(string(root)), "src")
	count := 0
	c := newCargo(t, "tree", "", func(dir string) {
		must(t, filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			if count == n {
				return filepath.SkipAll
			}
			count++
			rel, err := filepath.Rel(src, path)
			must(t, err)
			data, err := os.ReadFile(path)
			must(t, err)
			to := filepath.Join(dir, rel)
			must(t, os.MkdirAll(filepath.Dir(to), 0o755))
			return os.WriteFile(to, data, 0o644)
		}))
	})
	c.what = fmt.Sprintf("%d files of Go's source", count)
	return c
}

// sum returns the hashes of all regular files below dir.
func sum(t *testing.T, dir string) sums {
	t.Helper()
	all := sums{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		all[filepath.ToSlash(rel)] = [sha256.Size]byte(h.Sum(nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// same fails the test unless dir holds exactly the cargo.
func (c *cargo) same(t *testing.T, dir, when string) {
	t.Helper()
	got := sum(t, dir)
	wrong := 0
	complain := func(format string, args ...any) {
		if wrong++; wrong <= 10 {
			t.Errorf(when+": "+format, args...)
		}
	}
	for name, want := range c.sums {
		if have, ok := got[name]; !ok {
			complain("%q is not there", name)
		} else if have != want {
			complain("%q has another content", name)
		}
	}
	if extra := len(got) - len(c.sums); wrong == 0 && extra != c.renamed {
		complain("%d files were not in the original", extra)
	}
	if wrong > 0 {
		t.Fatalf("%s: %d files of %d are wrong", when, wrong, len(c.sums))
	}
}

// report has the rows of what was done, in order: by stock clients with our
// server, and by our client with other people's servers.
var report struct {
	sync.Mutex
	clients, servers []string
	cuts             []string
}

// note adds a row of a stock client when the test ends.
func note(t *testing.T, client, version, did string) {
	noteIn(t, &report.clients, client, version, did)
}

func noteIn(t *testing.T, rows *[]string, peer, version, did string) {
	start := time.Now()
	t.Cleanup(func() {
		result := fmt.Sprintf("passed in %.1f s", time.Since(start).Seconds())
		if t.Failed() {
			result = "**failed**"
		} else if t.Skipped() {
			result = "skipped"
		}
		report.Lock()
		defer report.Unlock()
		// At once, where t.Log waits for the parent's end: scripts/interop
		// shows and counts these lines.
		fmt.Printf("case: %s %s: %s: %s\n", peer, version, did, strings.Trim(result, "*"))
		*rows = append(*rows, fmt.Sprintf("| %s | %s | %s | %s | %s |",
			peer, version, start.UTC().Format("2006-01-02"), did, result))
		if *tableFile != "" {
			must(t, os.WriteFile(*tableFile, []byte(tables()), 0o644))
		}
	})
}

func tables() string {
	text := ""
	// Tests run beside each other; a peer's rows belong together.
	slices.Sort(report.clients)
	slices.Sort(report.servers)
	if len(report.clients) > 0 {
		text += "# Stock clients against `ftps server`\n\n" +
			"Written by `scripts/interop --table`: the real binary on loopback, TLS on both connections,\n" +
			"each client trusting the server's certificate and nothing else where it can check one.\n" +
			"What is moved is compared by SHA-256, after the upload and again after the download.\n\n" +
			"| client | version | date | what was done | result |\n|---|---|---|---|---|\n" +
			strings.Join(report.clients, "\n") + "\n\n"
	}
	if len(report.servers) > 0 {
		text += "# `ftps client` against other people's servers\n\n" +
			"Written by the same run: Debian's packages on loopback, unpacked by `integration/peers/install`.\n" +
			"What each of them does in a way of its own is told in [README.md](README.md).\n\n" +
			"| server | Debian's version | date | what was done | result |\n|---|---|---|---|---|\n" +
			strings.Join(report.servers, "\n") + "\n"
	}
	return strings.TrimRight(text, "\n") + "\n"
}

// firstMatch runs a program and finds its version in what it prints.
func firstMatch(re string, name string, args ...string) string {
	out, _ := exec.Command(name, args...).CombinedOutput()
	if m := regexp.MustCompile(re).FindSubmatch(out); m != nil {
		return string(m[len(m)-1])
	}
	return "not installed"
}
