package integration

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ftps/pkg/ftpserver"
)

const rfcPaper = "RFC.md"

// section is one line of the table: what a document asks for, whether it is
// done, where, and the tests that fail without it.
type section struct {
	number string // "4.1.3"; "" where the document as a whole is meant
	what   string
	verbs  string // the commands it is about, with spaces
	done   string // yes, partly or no
	where  string // files below pkg, with spaces
	tests  string // package.Test, with spaces; pkg/ is left out
	note   string
}

// document is an RFC, a draft, or what stands in no document.
type document struct {
	name     string // as the table of commands has it
	title    string
	sections []section
}

func TestRFCEveryCommandStandsInTheTable(t *testing.T) {
	for _, cmd := range ftpserver.Commands() {
		found := false
		for _, doc := range rfcs() {
			for _, s := range doc.sections {
				found = found || slices.Contains(strings.Fields(s.verbs), cmd.Verb)
			}
		}
		if !found {
			t.Errorf("%s stands in no section", cmd.Verb)
		}
		for _, ref := range references(cmd.RFC) {
			if !hasSection(ref, cmd.Verb) {
				t.Errorf("%s is defined in %s, which has no section of that number that names it", cmd.Verb, ref)
			}
		}
	}
}

// reference is a document and the number of a section.
type reference struct{ doc, number string }

func (r reference) String() string { return r.doc + " §" + r.number }

var rfcNumber = regexp.MustCompile(`^(RFC )?(\d+)$`)

// references reads "RFC 2228 §3, 4217 §9" and "RFC 959 §3.4, §4.1.2"; what
// names no document is a custom.
func references(text string) []reference {
	if strings.HasPrefix(text, "as ") {
		return []reference{{doc: customs}}
	}
	var refs []reference
	doc := ""
	for part := range strings.SplitSeq(text, ", ") {
		name, number, _ := strings.Cut(part, "§")
		if name = strings.TrimSpace(name); name != "" {
			doc = name
			if m := rfcNumber.FindStringSubmatch(name); m != nil {
				doc = "RFC " + m[2]
			}
		}
		refs = append(refs, reference{doc, number})
	}
	return refs
}

func hasSection(ref reference, verb string) bool {
	for _, doc := range rfcs() {
		if doc.name != ref.doc {
			continue
		}
		for _, s := range doc.sections {
			if (s.number == ref.number || ref.number == "") && slices.Contains(strings.Fields(s.verbs), verb) {
				return true
			}
		}
	}
	return false
}

func TestRFCTheTableNamesWhatThereIs(t *testing.T) {
	tests := testsOfTheModule(t)
	verbs := make(map[string]bool)
	for _, cmd := range ftpserver.Commands() {
		verbs[cmd.Verb] = true
	}
	for _, doc := range rfcs() {
		for _, s := range doc.sections {
			at := fmt.Sprintf("%s §%s %s", doc.name, s.number, s.what)
			switch s.done {
			case "yes":
				if s.tests == "" {
					t.Errorf("%s: a yes without a test", at)
				}
			case "partly", "no":
				if s.note == "" {
					t.Errorf("%s: %s, and not a word why", at, s.done)
				}
			default:
				t.Errorf("%s: %q is no answer", at, s.done)
			}
			for name := range strings.FieldsSeq(s.tests) {
				if !tests[name] {
					t.Errorf("%s: there is no test %s", at, name)
				}
			}
			for file := range strings.FieldsSeq(s.where) {
				if _, err := os.Stat(filepath.Join("../pkg", file)); err != nil {
					t.Errorf("%s: %v", at, err)
				}
			}
			if s.done != "no" && s.where == "" {
				t.Errorf("%s: where?", at)
			}
			for verb := range strings.FieldsSeq(s.verbs) {
				if !verbs[verb] {
					t.Errorf("%s: there is no command %s", at, verb)
				}
			}
		}
	}
}

// testsOfTheModule returns the tests and fuzz targets as "ftpserver.TestX".
func testsOfTheModule(t *testing.T) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	for _, root := range []string{"../pkg", "../cmd", "."} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			folder := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../")
			folder = strings.TrimPrefix(folder, "pkg/")
			if folder == "." {
				folder = "integration"
			}
			for _, decl := range file.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
					found[folder+"."+f.Name.Name] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func TestRFCThePaperIsTheTable(t *testing.T) {
	want := rfcMarkdown()
	if *update {
		if err := os.WriteFile(rfcPaper, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(rfcPaper)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the table says: go test ./integration -run RFC -update", rfcPaper)
	}
}

func rfcMarkdown() string {
	var b strings.Builder
	count := make(map[string]int)
	for _, doc := range rfcs() {
		for _, s := range doc.sections {
			count[s.done]++
		}
	}
	fmt.Fprintf(&b, `# What of the RFCs is kept

<!-- written by go test ./integration -run RFC -update from the table in rfc_documents_test.go -->

Each line is a section of a document: whether the server keeps it, where in `+"`pkg/`"+`, and the tests that fail without it.
%d are kept, %d in part, %d not; the words say what is missing.
A test holds this table against the table of commands: each command stands in it, each test that it names exists.

## Where it differs

`, count["yes"], count["partly"], count["no"])
	for _, d := range deviations {
		fmt.Fprintf(&b, "- %s\n", d)
	}
	for _, doc := range rfcs() {
		fmt.Fprintf(&b, "\n## %s: %s\n\n| § | what | | where | held by |\n|---|---|---|---|---|\n", doc.name, doc.title)
		for _, s := range doc.sections {
			what := s.what
			if s.verbs != "" {
				what = strings.TrimSuffix("`"+strings.Join(strings.Fields(s.verbs), "` `")+"`: "+what, ": ")
			}
			if s.note != "" {
				what += ". *" + s.note + "*"
			}
			var where, held []string
			for f := range strings.FieldsSeq(s.where) {
				where = append(where, "`"+f+"`")
			}
			for f := range strings.FieldsSeq(s.tests) {
				held = append(held, "`"+f+"`")
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", s.number, strings.ReplaceAll(what, "|", `\|`), s.done,
				strings.Join(where, " "), strings.Join(held, " "))
		}
	}
	return b.String()
}
