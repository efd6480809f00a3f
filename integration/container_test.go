package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// There need be no engine here to build the image: what its file names is
// held against what there is.
func TestTheContainerfileNamesWhatThereIs(t *testing.T) {
	raw, err := os.ReadFile("../scripts/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../scripts/build")
	if err != nil {
		t.Fatal(err)
	}
	copies := regexp.MustCompile(`(?m)^COPY (\S+) (\S+)$`).FindAllStringSubmatch(string(raw), -1)
	if len(copies) == 0 {
		t.Fatal("nothing is copied")
	}
	for _, c := range copies {
		// What scripts/build makes, or a file of the tree.
		if made := strings.HasPrefix(c[1], "dist/") && strings.Contains(string(script), "name="+filepath.Base(c[1])); made {
			continue
		}
		if _, err := os.Stat(filepath.Join("..", c[1])); err != nil {
			t.Errorf("COPY %s: %v", c[1], err)
		}
	}
	words := func(name string) (list []string) {
		m := regexp.MustCompile(`(?m)^` + name + ` (\[.*\])$`).FindStringSubmatch(string(raw))
		if m == nil {
			t.Fatalf("no %s", name)
		}
		if err := json.Unmarshal([]byte(m[1]), &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	if entry := words("ENTRYPOINT"); len(entry) != 1 || entry[0] != copies[0][2] {
		t.Errorf("ENTRYPOINT %q, COPY to %q", entry, copies[0][2])
	}
	dir := t.TempDir()
	args := append(words("CMD"), "--check", "-C", "0", "-D", "0")
	for i, word := range args {
		args[i] = strings.ReplaceAll(word, "/data", dir)
	}
	if os.Getuid() == 0 {
		args = append(args, "--run-as", "root")
	}
	if out, errs, code := run(t, dir, "", args...); code != 0 {
		t.Errorf("%q: %s%s", args, out, errs)
	}
}
