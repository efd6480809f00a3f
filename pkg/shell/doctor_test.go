package shell

import (
	"bytes"
	"strings"
	"testing"

	"ftps/pkg/catalog"
	"ftps/pkg/doctor"
	"ftps/pkg/fault"
)

// arguments for every verb of a row: as many as it takes, as wide as they come.
func widely(text string) []any {
	var args []any
	for i := strings.IndexByte(text, '%'); i >= 0; i = strings.IndexByte(text, '%') {
		verb := text[i+1]
		if verb == '.' {
			verb = 'f'
		}
		text = text[i+2:]
		switch verb {
		case 'd':
			args = append(args, 4_294_967_295)
		case 'f':
			args = append(args, 12345.6)
		case 's', 'v':
			args = append(args, "una carpeta de 漢字 y más")
		}
	}
	return args
}

func TestFindingsFitInto80ColumnsInBothLanguages(t *testing.T) {
	shown := 0
	for _, lang := range catalog.Languages {
		for row := range catalog.Rows {
			if !strings.HasPrefix(row.Key, "doctor.") {
				continue
			}
			if name, ok := strings.CutPrefix(row.Key, "doctor.check."); ok {
				if n := columns(catalog.Text(lang, row.Key)); n < 2 || n > nameWidth {
					t.Errorf("the name of %s takes %d columns", name, n)
				}
				continue
			}
			s, err := New(Options{Lang: lang})
			if err != nil {
				t.Fatal(err)
			}
			said := fault.New(row.Key, widely(row.EN)...)
			var out bytes.Buffer
			s.showFinding(&out, doctor.Finding{Check: "end", State: doctor.Bad, Found: said, Remedy: said})
			for line := range strings.Lines(out.String()) {
				shown++
				if line = strings.TrimSuffix(line, "\n"); columns(line) > lineWidth {
					t.Errorf("%s: %d columns: %s", row.Key, columns(line), line)
				}
				if strings.Contains(line, "%!") {
					t.Errorf("%s: %s", row.Key, line)
				}
			}
		}
	}
	if shown < 400 {
		t.Errorf("only %d lines", shown)
	}
}

func TestWhatAServerSaysCannotSteerTheTerminalThroughAFinding(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		s, err := New(Options{Out: &out})
		if err != nil {
			t.Fatal(err)
		}
		f := doctor.Finding{Check: "removed", State: doctor.Bad,
			Found: fault.New("doctor.removed.left", "a\x1b[2J\u202eb"), Remedy: fault.New("doctor.removed.remedy")}
		if asJSON {
			writeJSON(&out, s.findingObject(f))
		} else {
			s.showFinding(&out, f)
		}
		if strings.ContainsAny(out.String(), "\x1b\u202e") || !strings.Contains(out.String(), "2J") {
			t.Errorf("%q", out.String())
		}
	}
}

func TestMarksOfFindingsAreColoured(t *testing.T) {
	for state, want := range map[doctor.State]string{
		doctor.Good: green + "✓" + plainC, doctor.Bad: red + "✗" + plainC, doctor.Untried: yellow + "–" + plainC,
	} {
		var out bytes.Buffer
		s, err := New(Options{ColourOut: true})
		if err != nil {
			t.Fatal(err)
		}
		s.showFinding(&out, doctor.Finding{Check: "tcp", State: state, Found: fault.New("doctor.auth.ok")})
		if !strings.HasPrefix(out.String(), want+" TCP") {
			t.Errorf("%q", out.String())
		}
	}
}
