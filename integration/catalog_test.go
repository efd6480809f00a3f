package integration

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"ftps/pkg/catalog"
)

// source is one file that is not a test.
type source struct {
	path string
	set  *token.FileSet
	file *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, dir := range []string{"../cmd", "../pkg"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			all = append(all, source{strings.TrimPrefix(path, "../"), set, file})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 50 {
		t.Fatalf("only %d files", len(all))
	}
	return all
}

// isSentence tells words for a person from names, formats, keys and the
// verbs of the protocol: two words of two letters or more with a space
// between them, and not in capitals.
func isSentence(text string) bool {
	if strings.Contains(text, "<SP>") {
		return false // the notation of RFC 959 §5.3.1
	}
	words := 0
	for word := range strings.FieldsFuncSeq(text, unicode.IsSpace) {
		letters, small := 0, false
		for _, r := range strings.Trim(word, ".,:;!?()[]\"'¿¡…") {
			if !unicode.IsLetter(r) {
				letters = 0
				break
			}
			letters++
			small = small || unicode.IsLower(r)
		}
		if letters >= 2 && small {
			words++
		}
	}
	return words >= 2
}

// unspoken are calls whose texts are for a programmer, or are looked for in
// other texts: a broken promise of the program, the identity of an error
// (which the catalogue explains by its key), a pattern.
var unspoken = regexp.MustCompile(`^(panic|errors\.New|fmt\.Errorf|regexp\.MustCompile|strings\..*|bytes\..*|(t|tb)\..*)$`)

// unspokenFields hold what no person is told: where a command is defined,
// and a word of the log.
var unspokenFields = []string{"rfc", "Where"}

// allowed are the literals that look like sentences and are none.
var allowed = map[string][]string{
	"pkg/catalog/":     nil, // every text stands there
	"pkg/ftptest/":     nil, // tests speak English
	"pkg/vfs/vfstest/": nil,

	// Read by machines, and never translated.
	"pkg/ftp/hostport.go":   {"Entering Passive Mode (", "Entering Extended Passive Mode (|||"},
	"pkg/dataport/stamp.go": {"ftps stamp 1:"},
	// Looked for in what others say.
	"pkg/ftpclient/class.go": {"not allowed", "no right"},
	"pkg/ftpclient/conn.go":  {"remote error", "local error"},
	// What is typed.
	"cmd/ftps/root.go": {"go run ./cmd/ftps"},
	// What is in a file.
	"cmd/ftps/demo.go": {"hello, world\nhola, mundo\n"},
}

// findSentences returns the sentences of a file that a person could read,
// with their places.
func findSentences(s source) []string {
	var found []string
	var walk func(n ast.Node) bool
	walk = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			if n.Tag != nil { // struct tags
				n.Tag = nil
			}
		case *ast.ImportSpec:
			return false
		case *ast.FuncDecl:
			// An error's own text is for logs; catalog.Explain comes first.
			if n.Recv != nil && n.Name.Name == "Error" {
				return false
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && slices.Contains(unspokenFields, key.Name) {
				return false
			}
		case *ast.CallExpr:
			if unspoken.MatchString(callee(n)) {
				for _, arg := range n.Args {
					switch arg.(type) {
					case *ast.BasicLit, *ast.BinaryExpr:
					default:
						ast.Inspect(arg, walk)
					}
				}
				return false
			}
		case *ast.BasicLit:
			if n.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(n.Value); err == nil && isSentence(text) {
				found = append(found, s.set.Position(n.Pos()).String()+": "+n.Value)
			}
		}
		return true
	}
	ast.Inspect(s.file, walk)
	return found
}

// callee is the name of what is called: "panic", "fmt.Errorf", "a.text".
func callee(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
		return "." + f.Sel.Name
	}
	return ""
}

func TestCatalogHoldsEverySentence(t *testing.T) {
	for _, s := range sources(t) {
		texts, ok := exempt(s.path)
		if ok && texts == nil {
			continue
		}
		for _, sentence := range findSentences(s) {
			if !slices.ContainsFunc(texts, func(a string) bool { return strings.HasSuffix(sentence, strconv.Quote(a)) }) {
				t.Errorf("a sentence outside of the catalogue: %s", sentence)
			}
		}
	}
}

func exempt(path string) ([]string, bool) {
	for place, texts := range allowed {
		if strings.HasPrefix(path, place) {
			return texts, true
		}
	}
	return nil, false
}

func TestCatalogFindsASentenceInCode(t *testing.T) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "x.go", `package x
import "fmt"
type T struct { A int `+"`json:\"not a sentence\"`"+` }
func f(w io.Writer, a app) {
	fmt.Fprintln(w, "the file is gone")
	io.WriteString(w, "la cuenta no existe")
	say := "please " + "try again"
	log.Info("AUTH TLS")
	x := errors.New(fmt.Sprintf("inside %d other calls"))
	panic("this cannot be " + name)
	strings.Contains(s, "looked for")
	_ = row{syntax: "<SP> path name", rfc: "as others have it", help: "but this is"}
	_ = errors.New("not shown to anyone")
	a.text("cli.some.key")
	fmt.Fprintf(w, "%s %d %v\n", 1)
}`, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := findSentences(source{"x.go", set, file})
	if len(found) != 5 {
		t.Errorf("found %d, want 5: %q", len(found), found)
	}
}

// used collects what the program asks the catalogue for: string literals as
// they stand, and patterns for keys that are put together.
type used struct {
	literals map[string]string // and where
	patterns []*regexp.Regexp
	asked    map[string]string // literals that are the key of a call, and where
}

var keyLike = regexp.MustCompile(`^(reply|vfs|users|pki|data|client|shell|console|config|cli|system|wall|hook|service|doctor)\.[a-zA-Z0-9_.!-]*$`)

// askers are the functions whose first text is a key.
var askers = regexp.MustCompile(`(^|\.)(text|say|Text|New|Wrap|refuse|refuseFor|Code|Lookup)$`)

func collect(all []source) used {
	u := used{literals: map[string]string{}, asked: map[string]string{}}
	for _, s := range all {
		if strings.HasPrefix(s.path, "pkg/catalog/") && s.path != "pkg/catalog/system.go" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				text, err := strconv.Unquote(n.Value)
				if err != nil || n.Kind != token.STRING {
					return true
				}
				u.literals[text] = s.set.Position(n.Pos()).String()
				// A prefix on its own is handed to who puts keys together.
				if keyLike.MatchString(text) && strings.HasSuffix(text, ".") && strings.Count(text, ".") > 1 {
					u.patterns = append(u.patterns, regexp.MustCompile("^"+regexp.QuoteMeta(text)+"[a-zA-Z0-9_!-]+$"))
				}
			case *ast.BinaryExpr:
				if p := keyPattern(n); p != nil {
					u.patterns = append(u.patterns, p)
				}
			case *ast.CallExpr:
				if !askers.MatchString(callee(n)) {
					return true
				}
				for _, arg := range n.Args {
					lit, ok := arg.(*ast.BasicLit)
					if !ok || lit.Kind != token.STRING {
						continue
					}
					if text, err := strconv.Unquote(lit.Value); err == nil && keyLike.MatchString(text) {
						u.asked[text] = s.set.Position(lit.Pos()).String()
					}
					break
				}
			}
			return true
		})
	}
	return u
}

// keyPattern turns "cli." + name + ".short" into a pattern of the keys that
// it can become. A sum that begins with nothing of the kind is none.
func keyPattern(sum *ast.BinaryExpr) *regexp.Regexp {
	if sum.Op != token.ADD {
		return nil
	}
	var pattern strings.Builder
	fixed := ""
	var add func(e ast.Expr)
	add = func(e ast.Expr) {
		switch e := e.(type) {
		case *ast.BinaryExpr:
			add(e.X)
			add(e.Y)
			return
		case *ast.BasicLit:
			if text, err := strconv.Unquote(e.Value); err == nil {
				if pattern.Len() == 0 {
					fixed = text
				}
				pattern.WriteString(regexp.QuoteMeta(text))
				return
			}
		}
		pattern.WriteString(`[a-zA-Z0-9_.!-]+`)
	}
	add(sum)
	if !keyLike.MatchString(fixed) {
		return nil
	}
	return regexp.MustCompile("^" + pattern.String() + "$")
}

func TestCatalogHasARowForEveryKeyAndAKeyForEveryRow(t *testing.T) {
	u := collect(sources(t))
	if len(u.asked) < 100 {
		t.Errorf("only %d keys are asked for", len(u.asked))
	}
	for key, where := range u.asked {
		if _, ok := catalog.Lookup(key); !ok {
			t.Errorf("%s: no row has the key %s", where, key)
		}
	}
	for row := range catalog.Rows {
		_, literal := u.literals[row.Key]
		composed := slices.ContainsFunc(u.patterns, func(p *regexp.Regexp) bool { return p.MatchString(row.Key) })
		if !literal && !composed {
			t.Errorf("nobody uses the row %s", row.Key)
		}
	}
}

var verb = regexp.MustCompile(`%(?:\[(\d+)\])?[-+# 0]*(?:\[(\d+)\])?[0-9*]*(?:\.[0-9*]+)?(?:\[(\d+)\])?([a-zA-Z%])`)

// verbs returns the verb of each argument that a format takes, by number.
func verbs(format string) map[int]string {
	found := map[int]string{}
	next := 1
	for _, m := range verb.FindAllStringSubmatch(format, -1) {
		if m[4] == "%" {
			continue
		}
		for _, index := range m[1:4] {
			if index != "" {
				next, _ = strconv.Atoi(index)
			}
		}
		found[next] += m[4]
		next++
	}
	return found
}

func TestCatalogSaysTheSameInBothLanguages(t *testing.T) {
	for row := range catalog.Rows {
		// A command without arguments has no words for them.
		none := strings.Contains(row.Key, ".args.") && row.EN == "" && row.ES == ""
		if !none && (strings.TrimSpace(row.EN) == "" || strings.TrimSpace(row.ES) == "") {
			t.Errorf("%s: a text is empty", row.Key)
		}
		en, es := verbs(row.EN), verbs(row.ES)
		for n := range max(len(en), len(es)) {
			if en[n+1] != es[n+1] {
				t.Errorf("%s: argument %d is %%%s in English and %%%s in Spanish", row.Key, n+1, en[n+1], es[n+1])
			}
		}
		if strings.Count(row.EN, "\n") > 0 != (strings.Count(row.ES, "\n") > 0) {
			t.Errorf("%s: only one language has a hint", row.Key)
		}
		if !keyLike.MatchString(row.Key) {
			t.Errorf("%s: no room speaks by such a key", row.Key)
		}
	}
}
