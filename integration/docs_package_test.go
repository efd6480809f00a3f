//go:build interop

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// typed runs the guide's transcripts of a kind in their order, by what makes
// a shell's words a command.
func typed(t *testing.T, kind string, shell func(line string) *exec.Cmd) {
	t.Helper()
	ran := 0
	for _, b := range blocksOf(t, "../docs/operating.md") {
		if !slices.Equal(strings.Fields(b.info), []string{"console", kind}) {
			continue
		}
		for _, st := range b.steps() {
			ran++
			out, err := shell(st.command).CombinedOutput()
			if err != nil {
				t.Fatalf("line %d: $ %s: %v\n%s", b.line, st.command, err, out)
			}
			if got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"); !matches(got, st.output, "") {
				t.Errorf("line %d: $ %s\nprints\n%s\nthe page says\n%s", b.line, st.command, out, strings.Join(st.output, "\n"))
			}
		}
	}
	if ran < 3 {
		t.Errorf("only %d commands of kind %s", ran, kind)
	}
}

func TestDocsTranscriptsOfBuildingAndOfThePackageAreTrue(t *testing.T) {
	top := filepath.Join(t.TempDir(), "tree")
	said(t, nil, "git", "clone", "-q", "--shared", "..", top)
	typed(t, "build", func(line string) *exec.Cmd {
		cmd := exec.Command("bash", "-c", line)
		cmd.Dir = top
		return cmd
	})

	root := debian(t)
	debs, err := filepath.Glob(filepath.Join(top, "dist", "*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatalf("%v, %v", debs, err)
	}
	raw, err := os.ReadFile(debs[0])
	must(t, err)
	inside := filepath.Join(root, "tmp", filepath.Base(debs[0]))
	must(t, os.WriteFile(inside, raw, 0o644))
	t.Cleanup(func() {
		os.Remove(inside)
		exec.Command("chroot", root, "dpkg", "--purge", "ftps").Run()
	})
	typed(t, "package", func(line string) *exec.Cmd {
		cmd := exec.Command("chroot", root, "/bin/sh", "-c", "cd /tmp && "+line)
		cmd.Env = []string{"DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
		return cmd
	})
}
