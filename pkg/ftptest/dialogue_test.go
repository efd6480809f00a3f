package ftptest

import (
	"strings"
	"testing"
)

func TestADialogueHoldsTheServerToItsLines(t *testing.T) {
	for _, c := range []struct {
		line  string
		code  int
		text  string
		holds bool
	}{
		{"S: 226", 226, "whatever", true},
		{"S: 226", 250, "whatever", false},
		{"S: 213 42", 213, "42", true},
		{"S: 213 42", 213, "41", false},
		{"S: 257 /^\"/.*\"$/", 257, `"/docs"`, true},
		{"S: 257 /^\"/.*\"$/", 257, `docs`, false},
	} {
		turns, err := parseDialogue("# a comment\n\n" + c.line + "\r\n")
		if err != nil || len(turns) != 1 {
			t.Fatalf("%q: %v, %v", c.line, turns, err)
		}
		if err := turns[0].reply(c.code, strings.Split(c.text, "\n")); (err == nil) != c.holds {
			t.Errorf("%q held against %d %q: %v", c.line, c.code, c.text, err)
		}
	}
	turns, err := parseDialogue(`DATA< "a\r\n"` + "\nDATA< /^a+$/\n")
	if err != nil {
		t.Fatal(err)
	}
	for i, good := range []string{"a\r\n", "aaa"} {
		if err := turns[i].data(good); err != nil {
			t.Error(err)
		}
		if turns[i].data("b") == nil {
			t.Errorf("%v takes anything", turns[i])
		}
	}
	for _, bad := range []string{"S: abc", "X: 1", `DATA> "open`, "S: 200 /(/"} {
		if _, err := parseDialogue(bad); err == nil {
			t.Errorf("%q is taken for a dialogue", bad)
		}
	}
}
