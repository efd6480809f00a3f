package integration

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// platforms are the systems that scripts/build builds for.
var platforms = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}

// TestEveryTargetTypeChecks holds programs, packages and their tests against
// each system's own files and sizes. It reads types from source, for to
// compile the standard library anew for each target takes a minute each.
func TestEveryTargetTypeChecks(t *testing.T) {
	tried := platforms[4:5] // the one that is most unlike this
	if *full {
		tried = platforms
	}
	for _, target := range tried {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			system, arch, _ := strings.Cut(target, "/")
			for _, err := range typeCheck(t, system, arch, "..", "./cmd/...", "./pkg/...") {
				t.Error(err)
			}
		})
	}
}

func TestACallThatATargetLacksIsFound(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":       "module m\n\ngo 1.26\n",
		"main.go":      "package main\n\nfunc main() {}\n",
		"main_test.go": "package main\n\nimport \"syscall\"\n\nvar kill = syscall.Kill\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if found := typeCheck(t, "linux", "arm64", dir, "./..."); len(found) > 0 {
		t.Errorf("linux: %v", found)
	}
	if found := typeCheck(t, "windows", "arm64", dir, "./..."); len(found) != 1 || !strings.Contains(found[0].Error(), "syscall.Kill") {
		t.Errorf("windows: %v", found)
	}
}

// listed is what go list -json tells of a package.
type listed struct {
	Dir, ImportPath string
	GoFiles         []string
	ImportMap       map[string]string
	Module          *struct{ Main bool }
}

// typeCheck returns the mistakes that a compiler for the target would find in
// the packages of dir and in their tests.
func typeCheck(t *testing.T, system, arch, dir string, patterns ...string) (found []error) {
	t.Helper()
	list := exec.Command("go", append([]string{"list", "-deps", "-test", "-json=Dir,ImportPath,GoFiles,ImportMap,Module"}, patterns...)...)
	list.Dir, list.Env = dir, append(os.Environ(), "GOOS="+system, "GOARCH="+arch, "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list for %s/%s: %v", system, arch, err)
	}
	checked := map[string]*types.Package{"unsafe": types.Unsafe}
	for packages := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed // each after those that it imports
		if err := packages.Decode(&p); err == io.EOF {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		if p.ImportPath == "unsafe" || strings.HasSuffix(p.ImportPath, ".test") {
			continue // the second is the generated main of a test
		}
		own := p.Module != nil && p.Module.Main
		files := token.NewFileSet()
		var parsed []*ast.File
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				found = append(found, err)
				continue
			}
			parsed = append(parsed, file)
		}
		config := types.Config{
			Importer: importer(func(path string) (*types.Package, error) {
				if mapped, ok := p.ImportMap[path]; ok {
					path = mapped
				}
				if known := checked[path]; known != nil {
					return known, nil
				}
				return nil, errors.New("not listed: " + path)
			}),
			IgnoreFuncBodies: !own,
			Sizes:            types.SizesFor("gc", arch),
			Error: func(err error) {
				if own {
					found = append(found, err)
				}
			},
		}
		path, _, _ := strings.Cut(p.ImportPath, " ")
		checked[p.ImportPath], _ = config.Check(path, files, parsed, nil)
	}
}

type importer func(path string) (*types.Package, error)

func (i importer) Import(path string) (*types.Package, error) { return i(path) }
