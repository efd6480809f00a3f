package users

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"ftps/pkg/catalog"
	"ftps/pkg/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Lines that bcrypt accepts and no password matches.
var (
	hash1 = "$2a$12$" + strings.Repeat(".", 53)
	hash2 = "$2b$04$" + strings.Repeat("O", 53)
)

func everything(string) bool { return true }

// written puts text into a users.yaml of its own.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryKeyIsRead(t *testing.T) {
	doc, err := parse("users.yaml", []byte(`
users:
  - name: diego
    password: `+hash1+`
    home: people/diego      # below the root folder
    permissions: [read, list, append]
    quota: 10GiB
    max_sessions: 4
    allow_from: [192.0.2.0/24, '2001:db8::/32', 198.51.100.7]
    session_reuse: prefer
    rate_up: 10M
    rate_down: 1500K
    client_cert: sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
    disabled: true
    expires: 2027-01-31
  - {name: ana, password: "`+hash2+`"}
`), everything)
	if err != nil {
		t.Fatal(err)
	}
	u, ok := doc.list.Lookup("diego")
	if !ok || doc.list.Len() != 2 {
		t.Fatalf("%d accounts", doc.list.Len())
	}
	nets := []string{}
	for _, p := range u.AllowFrom {
		nets = append(nets, p.String())
	}
	if got, want := strings.Join(nets, " "), "192.0.2.0/24 2001:db8::/32 198.51.100.7/32"; got != want {
		t.Errorf("allow_from %s, want %s", got, want)
	}
	want := User{
		Name: "diego", Hash: hash1, Home: "people/diego", Perm: vfs.Read | vfs.List | vfs.Append,
		Quota: 10 << 30, MaxSessions: 4, AllowFrom: u.AllowFrom, Reuse: "prefer", RateUp: 10e6, RateDown: 1.5e6,
		ClientCert: "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		Disabled:   true, Expires: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
	}
	if !u.Same(&want) || u.Line != 3 {
		t.Errorf("read  %+v\nwant %+v", *u, want)
	}
	ana, _ := doc.list.Lookup("ana")
	if want := (User{Name: "ana", Hash: hash2, Home: "ana", Perm: vfs.ReadWrite}); !ana.Same(&want) {
		t.Errorf("defaults: %+v", *ana)
	}
}

func TestFilesWithoutAccountsLoad(t *testing.T) {
	for _, text := range []string{
		"", "\n\n", "# nobody yet\n", "---\n", "users:\n", "users: []\n", "users: ~\n", "users: null",
		"users:\r\n  # - name: x\r\n", "\ufeffusers: []\n",
	} {
		list, err := Load(written(t, text))
		if err != nil || list.Len() != 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestMistakesAreNamedWithTheirLine(t *testing.T) {
	account := "users:\n  - name: a\n    password: " + hash1 + "\n    "
	for _, c := range []struct {
		text string
		line int
		key  string
	}{
		{"users: [\n", 0, "users.yaml.syntax"},
		{"users:\n  - name: a\n   password: x\n", 0, "users.yaml.syntax"},
		{"users: []\n---\nusers: []\n", 0, "users.yaml.second"},
		{"users: \xff\n", 1, "users.yaml.utf8"},
		{"- name: a\n", 1, "users.type.root"},
		{"users: []\nusers: []\n", 2, "users.key.twice"},
		{"users: []\nadmins: []\n", 2, "users.key.unknown"},
		{"users: {a: b}\n", 1, "users.type.users"},
		{"users:\n  - a\n", 2, "users.type.account"},
		{"users:\n  - name: a\n", 2, "users.key.missing"},
		{"users:\n  - password: " + hash1 + "\n", 2, "users.key.missing"},
		{account + "shell: /bin/sh\n", 4, "users.key.unknown"},
		{account + "home: a\n    home: b\n", 5, "users.key.twice"},
		{account + "1: b\n", 4, "users.key.odd"},
		{account + "home:\n", 4, "users.key.empty"},
		{account + "home: ''\n", 4, "users.home.bad"},
		{account + "home: ../b\n", 4, "users.home.bad"},
		{account + "home: a/../../b\n", 4, "users.home.bad"},
		{account + "home: /srv/../etc\n", 4, "users.home.bad"},
		{account + "home: \"a\\0b\"\n", 4, "users.home.bad"},
		{account + "home: 5\n", 4, "users.type.string"},
		{account + "home: [a]\n", 4, "users.type.string"},
		{account + "home: !!str a\n", 4, "users.yaml.machinery"},
		{account + "home: &x a\n", 4, "users.yaml.machinery"},
		{account + "permissions: rw\n", 4, "users.type.list"},
		{account + "permissions: []\n", 4, "users.type.list"},
		{account + "permissions: [rw, root]\n", 4, "users.perm.bad"},
		{account + "quota: lots\n", 4, "users.size.bad"},
		{account + "quota: -1\n", 4, "users.size.bad"},
		{account + "quota: 0\n", 4, "users.size.zero"},
		{account + "quota: 1.5\n", 4, "users.type.size"},
		{account + "quota: true\n", 4, "users.type.size"},
		{account + "max_sessions: 0\n", 4, "users.sessions.bad"},
		{account + "max_sessions: '4'\n", 4, "users.type.number"},
		{account + "max_sessions: 99999999999999999999\n", 4, "users."},
		{account + "allow_from: [192.0.2.0/33]\n", 4, "users.cidr.bad"},
		{account + "allow_from: [example.org]\n", 4, "users.cidr.bad"},
		{account + "allow_from: ['::ffff:192.0.2.0/120']\n", 4, "users.cidr.bad"},
		{account + "allow_from: [192.0.2.1/24]\n", 4, "users.cidr.host"},
		{account + "allow_from: 192.0.2.0/24\n", 4, "users.type.list"},
		{account + "allow_from: []\n", 4, "users.type.list"},
		{account + "session_reuse: maybe\n", 4, "users.reuse.bad"},
		{account + "disabled: yes\n", 4, "users.type.bool"},
		{account + "disabled: 1\n", 4, "users.type.bool"},
		{account + "expires: tomorrow\n", 4, "users.date.bad"},
		{account + "expires: 2027-02-30\n", 4, "users.date.bad"},
		{account + "expires: 20270131\n", 4, "users.type.date"},
		{account + "rate_up: fast\n", 4, "users.size.bad"},
		{account + "client_cert: x\n", 4, "users.cert.bad"},
		{account + "home: s3://Bucket/prefix\n", 4, "users.home.bad"},
		{account + "home: s3://bucket/a/../b\n", 4, "users.home.bad"},
		{account + "home: s3://bucket/a//b\n", 4, "users.home.bad"},
		{account + "home: s3://bucket/.ftps-parts/b\n", 4, "users.home.bad"},
		{account + "\n  - name: a\n    password: " + hash2 + "\n", 5, "users.name.twice"},
		{"users:\n  - name: .a\n    password: " + hash1 + "\n", 2, "users.name.bad"},
		{"users:\n  - name: 123\n    password: " + hash1 + "\n", 2, "users.type.string"},
		{"users:\n  - name: a\n    password: secret\n", 3, "users.hash.bad"},
		{"users:\n  - name: a\n    password: " + hash1[:59] + "\n", 3, "users.hash.bad"},
		{"users:\n  - name: a\n    password: " + hash1[:59] + "/\n", 3, "users.hash.bad"},
		{"users:\n  - name: a\n    password: $2a$17$" + hash1[7:] + "\n", 3, "users.cost.bad"},
		{"users:\n  - name: a\n    password: $2x$12$" + hash1[7:] + "\n", 3, "users.hash.bad"},
		{"users:\n  - &a {name: a, password: x}\n  - *a\n", 2, "users.yaml.machinery"},
	} {
		_, err := parse("f.yaml", []byte(c.text), enforced)
		var all Problems
		if !errors.As(err, &all) || !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if !slices.ContainsFunc(all, func(p *Problem) bool {
			return strings.Contains(p.Err.Error(), c.key) && (c.line == 0 || p.Line == c.line)
		}) {
			t.Errorf("%q:\n  %v\n  want line %d, %s", c.text, err, c.line, c.key)
		}
		for _, lang := range catalog.Languages {
			if said := catalog.Explain(lang, err); strings.Contains(said, "users.") || strings.Contains(said, "%!") {
				t.Errorf("%s: told as %q", lang, said)
			}
		}
	}
}

// Keys that the server does not obey yet are parsed all the same, so that
// turning one on is one line.
func TestKeysNotEnforcedYetAreChecked(t *testing.T) {
	account := "users:\n  - name: a\n    password: " + hash1 + "\n    "
	for _, good := range []string{"rate_up: 10M", "rate_down: 20MiB", "home: s3://bucket/a",
		"client_cert: sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="} {
		if _, err := parse("f", []byte(account+good+"\n"), everything); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"rate_up: fast", "rate_down: [1]", "home: s3://", "home: s3:///x",
		"client_cert: sha256//AAAA", "client_cert: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="} {
		if _, err := parse("f", []byte(account+bad+"\n"), everything); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func TestSeveralMistakesAreReportedTogether(t *testing.T) {
	path := written(t, "users:\n  - name: -a\n    password: x\n    shell: y\n  - name: b\n    quota: z\n")
	_, err := Load(path)
	said := catalog.Explain(catalog.English, err)
	lines := strings.Split(said, "\n")
	if len(lines) != 6 || lines[0] != "5 mistakes in the accounts:" {
		t.Fatalf("%d lines:\n%s", len(lines), said)
	}
	for i, at := range []string{":2: name:", ":3: password:", ":4: unknown key \"shell\"", ":6: quota:", ":5: the account has no password"} {
		if !strings.HasPrefix(lines[i+1], path+at) {
			t.Errorf("line %d is %q, want %s", i+1, lines[i+1], at)
		}
	}
	if said := catalog.Explain(catalog.Spanish, err); !strings.HasPrefix(said, "5 errores en las cuentas:\n") {
		t.Errorf("in Spanish: %s", said)
	}

	_, err = parse("f", []byte("users:\n"+strings.Repeat("  - x\n", 100)), enforced)
	lines = strings.Split(catalog.Explain(catalog.English, err), "\n")
	if len(lines) != 22 || lines[21] != "and 80 more" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestAFileThatOthersMayWriteIsRefused(t *testing.T) {
	path := written(t, "users: []\n")
	for mode, ok := range map[fs.FileMode]bool{0o600: true, 0o640: true, 0o644: true, 0o400: true,
		0o620: false, 0o602: false, 0o666: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); errors.Is(err, ErrWritable) == ok {
			t.Errorf("%v: %v", mode, err)
		}
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(link); !errors.Is(err, ErrWritable) {
		t.Errorf("behind a symlink: %v", err)
	}
}

func TestSizes(t *testing.T) {
	for word, want := range map[string]int64{
		"0": 0, "1": 1, "1048576": 1 << 20, "20M": 20e6, "20MB": 20e6, "20m": 20e6, "10GiB": 10 << 30,
		"10Gi": 10 << 30, "1.5K": 1500, "1.5 KiB": 1536, "7B": 7, "2T": 2e12, "1TiB": 1 << 40, "0.1K": 100,
	} {
		got, err := ParseSize(word)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", word, got, err, want)
		}
		if back, err := ParseSize(FormatSize(got)); err != nil || back != got {
			t.Errorf("%s is written %s", word, FormatSize(got))
		}
	}
	for _, word := range []string{"", "M", "-1", "+1", "1e3", "0x10", "1_000", "1,5M", "1.", ".5", "1..5", "1.5.5K",
		"10X", "10MM", "10MBB", "9999999T", "9223372036854775807", "1 2", "٣"} {
		if got, err := ParseSize(word); err == nil {
			t.Errorf("%q is read as %d", word, got)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 20e6: "20M", 10 << 30: "10GiB", 1 << 10: "1KiB", 1000: "1K", 1025: "1025"} {
		if got := FormatSize(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}

// nested is a list of ten times the list before it, depth times over: some
// bytes a level, and ten to its power of entries for who follows the aliases.
func nested(depth int) string {
	text := "users:\n  - name: ana\n    password: " + hash1 + "\nx0: &x0 [a, a, a, a, a, a, a, a, a, a]\n"
	for i := range depth {
		text += fmt.Sprintf("x%d: &x%d [%s*x%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*x%d, ", i), 9), i)
	}
	return text
}

func TestAFileOfAliasesOfAliasesIsRefusedUnopened(t *testing.T) {
	done := make(chan error, 1)
	go func() {
		_, err := parse("f.yaml", []byte(nested(12)), enforced)
		_, deep := parse("f.yaml", []byte("users: "+strings.Repeat("[", 1<<20)), enforced)
		if deep == nil {
			t.Error("a million lists in each other are accounts")
		}
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it follows them")
	}

	// Who follows the aliases has a thousand entries of a few lines; further up
	// the library itself says that this is too much.
	var all map[string]any
	if err := yaml.Unmarshal([]byte(nested(2)), &all); err != nil {
		t.Fatal(err)
	}
	if n := entries(all["x2"]); n != 1000 || len(nested(2)) > 500 {
		t.Errorf("%d entries of %d bytes: this shows nothing", n, len(nested(2)))
	}
}

func entries(v any) (n int) {
	list, ok := v.([]any)
	if !ok {
		return 1
	}
	for _, one := range list {
		n += entries(one)
	}
	return n
}
