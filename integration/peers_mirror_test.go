//go:build interop

package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// mirrored is what one mirror did.
type mirrored struct {
	moved, deleted []string // below the folder
	listings       int      // commands that list a folder
	transfers      int      // commands that move a file
	commands       int      // all of them
	took           time.Duration
}

var (
	listingLine  = regexp.MustCompile(`(?m)^> (MLSD|LIST)\b`)
	transferLine = regexp.MustCompile(`(?m)^> (RETR|STOR|APPE)\b`)
	commandLine  = regexp.MustCompile(`(?m)^> `)
)

// mirrors runs a mirror that must succeed.
func (b *behind) mirrors(t *testing.T, command ...string) (m mirrored) {
	t.Helper()
	args := append([]string{"client", "127.0.0.1", "-p", fmt.Sprint(b.control), "-u", b.account, "--password-stdin", "--pin", b.pin,
		"--json", "-v", "mirror"}, command...)
	start := time.Now()
	out, errs, code := runFor(t, t.TempDir(), b.password+"\n", peerPatience(), nil, args...)
	m.took = time.Since(start)
	if code != 0 {
		t.Fatalf("%q: exit %d\n%s%s", command, code, tail(out), tail(errs))
	}
	m.listings = len(listingLine.FindAllString(errs, -1))
	m.transfers = len(transferLine.FindAllString(errs, -1))
	m.commands = len(commandLine.FindAllString(errs, -1))
	for line := range strings.Lines(out) {
		var e struct{ Event, Name string }
		if json.Unmarshal([]byte(line), &e) != nil {
			continue
		}
		_, name, _ := strings.Cut(e.Name, "tree/")
		if name == "" {
			name = e.Name
		}
		switch e.Event {
		case "done":
			m.moved = append(m.moved, name)
		case "deleted":
			m.deleted = append(m.deleted, name)
		}
	}
	slices.Sort(m.moved)
	slices.Sort(m.deleted)
	return m
}

// change changes ten files of a tree, of which five keep their length, and
// deletes three. It returns their names. Others are changed up than down: of
// two changes within a minute that leave the length LIST shows but one.
func change(t *testing.T, dir, direction string, names []string) (changed, deleted []string) {
	t.Helper()
	step := len(names) / 13
	now := time.Now().Truncate(time.Second)
	for i := range 13 {
		name := names[i*step+len(direction)]
		file := filepath.Join(dir, name)
		if i >= 10 {
			must(t, os.Remove(file))
			deleted = append(deleted, name)
			continue
		}
		info, err := os.Stat(file)
		must(t, err)
		data := seeded(int(info.Size())+i%2, uint64(i))
		must(t, os.WriteFile(file, data, 0o644))
		must(t, os.Chtimes(file, now, now))
		changed = append(changed, name)
	}
	slices.Sort(changed)
	slices.Sort(deleted)
	return changed, deleted
}

// like fails the test unless two folders hold the same files.
func like(t *testing.T, source, target, when string) {
	t.Helper()
	(&cargo{sums: sum(t, source)}).same(t, target, when)
}

// folders counts those of a tree, with its top.
func folders(t *testing.T, dir string) (n int) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			n++
		}
		return err
	}))
	return n
}

// TestOurClientMirrorsGoWithOurOwnAndOtherPeoplesServers: up and down, then
// again, then after ten changes and three deletions.
func TestOurClientMirrorsGoWithOurOwnAndOtherPeoplesServers(t *testing.T) {
	t.Parallel()
	n := 1000
	if *full {
		n = -1
	}
	servers := []func(*testing.T) *behind{oursBehind}
	for _, f := range foreigners() {
		if f.name == "vsftpd" || f.name == "ProFTPD" {
			servers = append(servers, func(t *testing.T) *behind { return foreignBehind(t, f) })
		}
	}
	for _, serve := range servers {
		b := serve(t)
		t.Run(b.name, func(t *testing.T) {
			c := treeCargo(t, n)
			// Of yesterday, so that what changes now is newer by more than LIST
			// can be wrong by.
			yesterday := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
			for name := range c.sums {
				must(t, os.Chtimes(filepath.Join(c.dir, name), yesterday, yesterday))
			}
			there, here := filepath.Join(b.home, "tree"), filepath.Join(t.TempDir(), "tree")
			for _, v := range []struct {
				direction      string
				command        []string
				source, target string
			}{
				{"up", []string{"-R", c.dir, "tree"}, c.dir, there},
				{"down", []string{"tree", here}, there, here},
			} {
				t.Run(v.direction, func(t *testing.T) {
					b.mirror(t, c, v.direction, v.command, v.source, v.target)
				})
			}
		})
	}
}

func (b *behind) mirror(t *testing.T, c *cargo, direction string, command []string, source, target string) {
	files := len(sum(t, source))
	what := fmt.Sprintf("mirror %s: %d files of Go's source, again, and after 10 changes and 3 deletions", direction, files)
	noteIn(t, &report.servers, b.name, b.version, what)
	first := b.mirrors(t, command...)
	like(t, source, target, "mirrored "+direction)
	if len(first.moved) != files {
		t.Errorf("%d files moved of %d", len(first.moved), files)
	}
	// A dry run is the listing and nothing else.
	listing := b.mirrors(t, append([]string{"--dry-run"}, command...)...)
	again := b.mirrors(t, command...)
	if len(again.moved)+len(again.deleted)+again.transfers > 0 {
		t.Errorf("again: %d files moved, %q …", len(again.moved), again.moved[:min(3, len(again.moved))])
	}
	if most := folders(t, source) + 2; again.listings > most || listing.listings > most {
		t.Errorf("again: %d listings of %d folders", again.listings, most-2)
	}
	fmt.Printf("mirror: %s %s %s: %d files in %.1f s (%d commands); listing alone %.1f s (%d commands); again %.1f s (%d commands)\n",
		b.name, b.version, direction, files, first.took.Seconds(), first.commands, listing.took.Seconds(), listing.commands,
		again.took.Seconds(), again.commands)

	names := (&cargo{sums: sum(t, source)}).names()
	changed, deleted := change(t, source, direction, names)
	third := b.mirrors(t, append([]string{"--delete"}, command...)...)
	if !slices.Equal(third.moved, changed) || !slices.Equal(third.deleted, deleted) {
		t.Errorf("after the changes: moved %q, deleted %q; changed were %q, and gone %q", third.moved, third.deleted, changed, deleted)
	}
	like(t, source, target, "after the changes, mirrored "+direction)
}
