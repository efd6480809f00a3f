package users

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"ftps/pkg/vfs"
)

// crlf is the same text as another system's editor writes it.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

const three = `# Accounts of the office.
users:
  # Ana, sales
  - name: ana
    password: HASH1     # changed in May
    permissions: [ro]

  # Beto, on leave
  - name: beto # b
    # his password:
    password: 'HASH1'

    home: "b"
    # end of beto

  # Carla
  -
    name:   carla
    password: "HASH1"
    permissions:
      - read
      - list
# the end
`

func hashes(s string) string {
	return strings.NewReplacer("HASH1", hash1, "HASH2", hash2).Replace(s)
}

func TestAddingAppendsAndTouchesNothingElse(t *testing.T) {
	plain := hashes("  - name: new\n    password: HASH2\n    home: new\n    permissions: [rw]\n")
	flat := strings.ReplaceAll(strings.Replace(plain, "  - ", "- ", 1), "\n    ", "\n  ")
	for _, c := range []struct{ name, before, want string }{
		{"missing or empty", "", "users:\n" + plain},
		{"comments", "# nobody\n# here", "# nobody\n# here\nusers:\n" + plain},
		{"document mark", "---\n# x\n", "---\n# x\nusers:\n" + plain},
		{"no value", "users:\n  # - name: x\n", "users:\n  # - name: x\n" + plain},
		{"empty list", "users: [] # none\n# end\n", "users: # none\n# end\n" + plain},
		{"empty list below", "users:\n  []\n", "users:\n\n" + plain},
		{"null", "users: null", "users:\n" + plain},
		{"tilde", "users: ~\n", "users:\n" + plain},
		{"three", hashes(three), hashes(three) + plain},
		{"no newline at the end", strings.TrimSuffix(hashes(three), "\n"), hashes(three) + plain},
		{"CRLF", crlf(hashes(three)), crlf(hashes(three) + plain)},
		{"flat list", hashes("users:\n- name: a\n  password: HASH1\n"), hashes("users:\n- name: a\n  password: HASH1\n") + flat},
		{"accounts in braces", hashes("users:\n  - {name: a, password: HASH1}\n"), hashes("users:\n  - {name: a, password: HASH1}\n") + plain},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := add("f", User{Name: "new", Hash: hash2, Perm: vfs.ReadWrite}).apply("f", []byte(c.before))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got:\n%q\nwant:\n%q", got, c.want)
			}
		})
	}
}

func TestAddingWritesEverySetting(t *testing.T) {
	u := User{
		Name: "123", Hash: hash2, Home: "/srv/a b: 'c' # ñ", Perm: vfs.Read | vfs.List | vfs.Delete,
		Quota: 10 << 30, MaxSessions: 4, Reuse: "prefer", Disabled: true,
		AllowFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		Expires:   time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
	}
	text, err := add("f", u).apply("f", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "users:\n  - name: '123'\n    password: " + hash2 + "\n    home: \"/srv/a b: 'c' # ñ\"\n" +
		"    permissions: [read, delete, list]\n    quota: 10GiB\n    max_sessions: 4\n" +
		"    allow_from: [192.0.2.0/24, '2001:db8::/32']\n    session_reuse: prefer\n    disabled: true\n    expires: 2027-01-31\n"
	if string(text) != want {
		t.Errorf("got:\n%s\nwant:\n%s", text, want)
	}
}

// Words that YAML takes for numbers, truths, dates or nothing stay names.
func TestNamesThatLookLikeSomethingElse(t *testing.T) {
	for _, name := range []string{"1", "007", "0x1F", "1e3", "1.5", "1_000", "true", "yes", "null", "NULL", "on", "n", "2027-01-31", "_", "a-", "a.b", "inf", "0o7", "12.", "5-5"} {
		text, err := add("f", User{Name: name, Hash: hash2, Perm: vfs.ReadOnly}).apply("f", nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if doc, err := parse("f", text, enforced); err != nil || doc.list.users[0].Name != name {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

func TestRemovingTakesItsLinesAndNoOthers(t *testing.T) {
	for _, c := range []struct{ name, gone, before string }{
		{"first", "ana", "  - name: ana\n    password: HASH1     # changed in May\n    permissions: [ro]\n"},
		{"middle", "beto", "  - name: beto # b\n    # his password:\n    password: 'HASH1'\n\n    home: \"b\"\n"},
		{"last", "carla", "  -\n    name:   carla\n    password: \"HASH1\"\n    permissions:\n      - read\n      - list\n"},
	} {
		for _, end := range []string{"\n", "\r\n"} {
			t.Run(c.name, func(t *testing.T) {
				before := strings.ReplaceAll(hashes(three), "\n", end)
				want := strings.Replace(before, strings.ReplaceAll(hashes(c.before), "\n", end), "", 1)
				if want == before {
					t.Fatal("the test's own text is not in the file")
				}
				got, err := remove("f", c.gone).apply("f", []byte(before))
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != want {
					t.Errorf("got:\n%s\nwant:\n%s", got, want)
				}
			})
		}
	}
}

func TestRemovingTheOnlyAccountLeavesAFileThatLoads(t *testing.T) {
	text := []byte(hashes("# c\nusers:\n  # d\n  - name: a\n    password: HASH1"))
	got, err := remove("f", "a").apply("f", text)
	if err != nil || string(got) != "# c\nusers:\n  # d\n" {
		t.Fatalf("%q, %v", got, err)
	}
	if got, err = add("f", User{Name: "b", Hash: hash1, Perm: vfs.ReadWrite}).apply("f", got); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(got), "# c\nusers:\n  # d\n  - name: b\n") {
		t.Errorf("%s", got)
	}
}

func TestChangingAPasswordChangesNothingElse(t *testing.T) {
	for i, name := range []string{"ana", "beto", "carla"} {
		before := crlf(hashes(three))
		parts := strings.Split(before, hash1)
		want := strings.Join(parts[:i+1], hash1) + hash2 + strings.Join(parts[i+1:], hash1)
		got, err := setPassword("f", name, hash2).apply("f", []byte(before))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
		}
	}
	got, err := setPassword("f", "a", hash2).apply("f", []byte("users: [{home: 'ñandú ñ', name: a, password: "+hash1+"}]\n"))
	if err != nil || string(got) != "users: [{home: 'ñandú ñ', name: a, password: "+hash2+"}]\n" {
		t.Errorf("in brackets, behind letters of two bytes: %v\n%s", err, got)
	}
}

func TestWhatCannotBeEditedSafelyIsRefused(t *testing.T) {
	u := User{Name: "new", Hash: hash2, Perm: vfs.ReadWrite}
	for _, c := range []struct {
		name, text string
		edit       edit
	}{
		{"brackets round all", hashes("users: [{name: a, password: HASH1}]\n"), add("f", u)},
		{"brackets round all", hashes("users: [{name: a, password: HASH1}]\n"), remove("f", "a")},
		{"braces", hashes("{users: [{name: a, password: HASH1}]}\n"), add("f", u)},
		{"braces", hashes("{users: [{name: a, password: HASH1}]}\n"), remove("f", "a")},
		{"empty braces", "{}\n", add("f", u)},
		{"brackets over lines", "users: [\n  ]\n", add("f", u)},
		{"the document has an end", hashes("users:\n  - name: a\n    password: HASH1\n...\n"), add("f", u)},
		{"a password in escapes", "users:\n  - name: a\n    password: \"\\x24" + hash1[1:] + "\"\n", setPassword("f", "a", hash2)},
		{"a line break of another kind", hashes("users:\r  - name: a\r    password: HASH1\r"), setPassword("f", "a", hash2)},
	} {
		if got, err := c.edit.apply("f", []byte(c.text)); !errors.Is(err, ErrUneasy) {
			t.Errorf("%s: %v\n%s", c.name, err, got)
		}
	}
}

func TestEditsOfAccountsThatAreNotThere(t *testing.T) {
	text := []byte(hashes(three))
	if _, err := add("f", User{Name: "beto", Hash: hash2, Perm: vfs.ReadWrite}).apply("f", text); !errors.Is(err, ErrExists) {
		t.Errorf("adding a second beto: %v", err)
	}
	if _, err := remove("f", "Beto").apply("f", text); !errors.Is(err, ErrNoAccount) {
		t.Errorf("removing Beto: %v", err)
	}
	if _, err := setPassword("f", "x", hash2).apply("f", text); !errors.Is(err, ErrNoAccount) {
		t.Errorf("x's password: %v", err)
	}
	if _, err := remove("f", "x").apply("f", nil); !errors.Is(err, ErrNoAccount) {
		t.Errorf("removing from nothing: %v", err)
	}
	for _, bad := range []User{{Name: "x", Hash: "secret"}, {Name: "x", Hash: hash2}, {Name: "x", Hash: hash2, Perm: vfs.Read, Home: "s3://a/b"},
		{Name: "x", Hash: hash2, Perm: vfs.Read, Home: "s3://bucket/../a"}} {
		if _, err := add("f", bad).apply("f", text); err == nil || errors.Is(err, ErrUneasy) || errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := add("f", User{Name: "x", Hash: hash2}).apply("f", []byte("users: 5\n")); !errors.Is(err, ErrInvalid) {
		t.Errorf("a file with mistakes: %v", err)
	}
}

// FuzzLoad: no text makes the program fall over, and what loads can be
// edited, or is refused, without a change to the other accounts.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{"", "users:", "users: []", hashes(three), crlf(hashes(three)),
		hashes("users:\n- {name: a, password: HASH1}\n- name: b\n  password: >-\n    HASH2\n"),
		hashes("users: [{name: a, password: HASH1}]"), "users: &a [*a]", "%YAML 1.1\n---\nusers:\n...\n",
		"\ufeffusers:\n  - name: \"a\\u0085b\"", "? users\n: - name: a", "users:\n  - name: a\n    home: |+\n      x\n\n\n  - name: b"} {
		f.Add([]byte(seed))
	}
	if example, err := os.ReadFile("../../users.yaml"); err == nil {
		f.Add(example)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := parse("f", text, enforced)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		check := func(e edit, want []User) {
			changed, err := e.apply("f", text)
			if errors.Is(err, ErrUneasy) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			again, err := parse("f", changed, enforced)
			if err != nil || !same(again.list.users, want) {
				t.Fatalf("%v\nbefore:\n%q\nafter:\n%q", err, text, changed)
			}
		}
		before := doc.list.users
		fresh := User{Name: "a-new-one", Hash: hash2, Home: "x", Perm: vfs.ReadOnly}
		if _, taken := doc.list.Lookup(fresh.Name); !taken {
			check(add("f", fresh), append(before[:len(before):len(before)], fresh))
		}
		for i, u := range before {
			check(remove("f", u.Name), append(before[:i:i], before[i+1:]...))
			changed := append([]User(nil), before...)
			changed[i].Hash = hash2
			check(setPassword("f", u.Name, hash2), changed)
		}
	})
}
