package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// promises returns the rows of the second table of SECURITY.md: a promise and
// the tests that hold it, as "package.Name", "." for this folder.
func promises(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| promise | held by |\n|---|---|\n")
	if !found {
		t.Fatal("SECURITY.md has no table of promises")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	word := regexp.MustCompile("`(?:(pkg/[a-z/]+)\\.)?(Test\\w+)`")
	rows := make(map[string][]string)
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 4 {
			t.Fatalf("not a promise and its tests: %s", line)
		}
		promise := strings.TrimSpace(cells[1])
		rows[promise] = nil
		for _, m := range word.FindAllStringSubmatch(cells[2], -1) {
			rows[promise] = append(rows[promise], m[1]+"."+m[2])
		}
	}
	return rows
}

func TestEveryPromiseOfSecurityIsHeldByATest(t *testing.T) {
	rows := promises(t)
	if len(rows) < 15 {
		t.Errorf("only %d promises were found", len(rows))
	}
	packages := map[string]map[string]bool{"": testsOf(t, ".")}
	for promise, tests := range rows {
		if len(tests) == 0 {
			t.Errorf("nothing holds that %s", promise)
		}
		for _, name := range tests {
			at := strings.LastIndex(name, ".")
			room, test := name[:at], name[at+1:]
			if packages[room] == nil {
				packages[room] = testsOf(t, filepath.Join("..", room))
			}
			if !packages[room][test] {
				t.Errorf("%s: there is no test %s", promise, name)
			}
		}
	}
	if readme, err := os.ReadFile(readme); err != nil || !strings.Contains(string(readme), "(SECURITY.md)") {
		t.Errorf("the README does not lead to it: %v", err)
	}
}
