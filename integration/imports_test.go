package integration

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rows is who may import whom: a package imports packages of lower rows, and
// none of its own row or above.
var rows = [][]string{
	{"pkg/ftp", "pkg/event", "pkg/vfs", "pkg/fault", "pkg/layer", "pkg/watch", "pkg/handover"},
	{"pkg/catalog", "pkg/users", "pkg/pki", "pkg/limit", "pkg/dataport", "pkg/wall",
		"pkg/xferlog", "pkg/hook", "pkg/vfs/jail", "pkg/vfs/memfs", "pkg/vfs/s3fs", "pkg/vfs/vfstest"},
	{"pkg/ftpserver", "pkg/ftpclient"},
	{"pkg/admin", "pkg/mirror", "pkg/doctor", "pkg/ftptest", "pkg/ftptest/hostile", "pkg/ftptest/terminal"},
	{"pkg/daemon", "pkg/shell", "pkg/config"},
	{"cmd/ftps"},
	{"integration", "integration/load"},
	{"integration/bench"},
}

// stdOnly need nothing but Go and each other's neighbours below them.
var stdOnly = []string{"pkg/ftp", "pkg/event", "pkg/vfs", "pkg/fault", "pkg/layer", "pkg/catalog"}

// keepers are the libraries that only some packages may see.
var keepers = map[string][]string{
	"github.com/spf13/cobra":         {"cmd/ftps"},
	"github.com/spf13/viper":         {"pkg/config"},
	"github.com/spf13/pflag":         {"pkg/config", "cmd/ftps"},
	"github.com/chzyer/readline":     {"pkg/shell", "pkg/admin"},
	"golang.org/x/term":              {"cmd/ftps", "pkg/shell"},
	"golang.org/x/crypto/bcrypt":     {"pkg/users"},
	"golang.org/x/crypto/acme":       {"pkg/pki"},
	"go.yaml.in/yaml/v3":             {"pkg/users"},
	"gopkg.in/yaml.v3":               {},
	"github.com/fsnotify/fsnotify":   {"pkg/watch"},
	"github.com/pires/go-proxyproto": {"pkg/daemon"},
	"github.com/prometheus":          {"pkg/daemon"},
	"github.com/coreos/go-systemd":   {"pkg/daemon"},
	"github.com/creack/pty":          {"pkg/ftptest/terminal"},
	"github.com/hinshun/vt10x":       {"pkg/ftptest/terminal"},
	"testing":                        {"pkg/ftptest", "pkg/ftptest/hostile", "pkg/ftptest/terminal", "pkg/vfs/vfstest"},
	"go.uber.org/goleak":             {},
	"github.com/landlock-lsm":        {"pkg/wall"},
	"github.com/minio/minio-go":      {"pkg/vfs/s3fs"},
	"github.com/zeebo/blake3":        {"pkg/ftpserver", "pkg/ftpclient"},
	"github.com/schollz/progressbar": {"pkg/shell"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Module     struct{ Path string }
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Module", "ftps/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func rowOf(name string) int {
	return slices.IndexFunc(rows, func(row []string) bool { return slices.Contains(row, name) })
}

// misplaced returns what is wrong with one import, or "".
func misplaced(importer, imported string) string {
	if inside, ok := strings.CutPrefix(imported, "ftps/"); ok {
		switch from, to := rowOf(importer), rowOf(inside); {
		case to < 0:
			return "is in no row"
		case to == from:
			return "stands in the same row"
		case to > from:
			return "stands above"
		}
		return ""
	}
	for library, allowed := range keepers {
		if (imported == library || strings.HasPrefix(imported, library+"/")) && !slices.Contains(allowed, importer) {
			return "is for " + strings.Join(append(allowed, "tests"), ", ")
		}
	}
	if strings.Contains(strings.Split(imported, "/")[0], ".") && slices.Contains(stdOnly, importer) {
		return "is not the standard library"
	}
	return ""
}

func TestImportsPointDownOnly(t *testing.T) {
	packages := listPackages(t)
	if len(packages) < 10 {
		t.Fatalf("go list found %d packages", len(packages))
	}
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, "ftps/")
		if rowOf(name) < 0 {
			t.Errorf("%s is in no row", name)
			continue
		}
		for _, imported := range p.Imports {
			if why := misplaced(name, imported); why != "" {
				t.Errorf("%s imports %s, which %s", name, imported, why)
			}
		}
	}
}

func TestImportsThatAreMisplacedAreFound(t *testing.T) {
	for _, c := range [][2]string{
		{"pkg/ftpserver", "ftps/pkg/ftpclient"},
		{"pkg/vfs", "ftps/pkg/catalog"},
		{"pkg/users", "ftps/pkg/catalog"},
		{"pkg/ftpserver", "ftps/pkg/nowhere"},
		{"pkg/daemon", "github.com/spf13/cobra"},
		{"cmd/ftps", "github.com/spf13/viper"},
		{"pkg/daemon", "golang.org/x/crypto/bcrypt"},
		{"pkg/ftp", "golang.org/x/sys/unix"},
	} {
		if misplaced(c[0], c[1]) == "" {
			t.Errorf("%s may import %s", c[0], c[1])
		}
	}
}
