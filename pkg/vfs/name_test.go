package vfs

import (
	"errors"
	"strings"
	"testing"
)

func name(t *testing.T, path string) Name {
	t.Helper()
	n, err := Resolve(Name{}, path)
	if err != nil {
		t.Fatalf("%q: %v", path, err)
	}
	return n
}

func TestResolveReadsWhatClientsWrite(t *testing.T) {
	for _, c := range []struct{ cwd, arg, want string }{
		{"/", "", "/"}, {"/", "/", "/"}, {"/", "//", "/"}, {"/", ".", "/"},
		{"/", "a", "/a"}, {"/", "a/b/", "/a/b"}, {"/", "//a//b", "/a/b"},
		{"/a/b", "c", "/a/b/c"}, {"/a/b", "/c", "/c"}, {"/a/b", "..", "/a"},
		{"/a/b", "../..", "/"}, {"/a/b", "../c/./../d", "/a/d"}, {"/a", "./", "/a"},
		{"/", "...", "/..."}, {"/", "..a", "/..a"}, {"/", " ", "/ "}, {"/", "~", "/~"},
		{"/", "a\\..\\b", "/a\\..\\b"}, {"/", "%2e%2e", "/%2e%2e"}, {"/", "\xff", "/\xff"},
		{"/", ".ftps", "/.ftps"}, {"/a", "", "/a"},
	} {
		got, err := Resolve(name(t, c.cwd), c.arg)
		if err != nil || got.String() != c.want {
			t.Errorf("in %q, %q is %q, %v; want %q", c.cwd, c.arg, got, err, c.want)
		}
	}
}

func TestResolveRefusesToClimbAboveTheRoot(t *testing.T) {
	for _, c := range []struct{ cwd, arg string }{
		{"/", ".."}, {"/", "/.."}, {"/", "../"}, {"/", "a/../.."}, {"/", "/a/../../b"},
		{"/a", "../.."}, {"/a/b", "../../../etc"}, {"/a", "/.."}, {"/", "./.."}, {"/", "//..//"},
		{"/", strings.Repeat("../", 1000)},
	} {
		if got, err := Resolve(name(t, c.cwd), c.arg); !errors.Is(err, ErrEscape) {
			t.Errorf("in %q, %.40q is %q, %v", c.cwd, c.arg, got, err)
		}
	}
}

func TestResolveRefusesWhatNoNameMayHold(t *testing.T) {
	long := strings.Repeat("x", MaxName)
	for _, arg := range []string{
		"a\x00b", "a\rb", "a\nb", "/a/\n", "\x00", long + "x", "/a/" + long + "x/b",
		strings.Repeat("a/", 32<<10), strings.Repeat("/", MaxPath+1),
		".ftps-", ".ftps-part-0", "/a/.ftps-tmp-x", "a/.ftps-x/b", ".FTPS-part-0", ".fTpS-",
	} {
		if got, err := Resolve(Name{}, arg); !errors.Is(err, ErrBadName) {
			t.Errorf("%.40q is %.40q, %v", arg, got, err)
		}
	}
	if _, err := Resolve(Name{}, long); err != nil {
		t.Errorf("a name of %d bytes: %v", MaxName, err)
	}
	deep := name(t, strings.Repeat("/"+long, 15))
	if _, err := Resolve(deep, long+"/"+long); !errors.Is(err, ErrBadName) {
		t.Errorf("a path that gets too long by its folder: %v", err)
	}
}

func TestNamesKnowTheirPlace(t *testing.T) {
	n := name(t, "/a/b")
	if n.Parent() != name(t, "a") || n.Parent().Parent() != (Name{}) || (Name{}).Parent() != (Name{}) {
		t.Error("parents")
	}
	if n.Base() != "b" || (Name{}).Base() != "/" || n.Relative() != "a/b" || (Name{}).Relative() != "." {
		t.Error("base and relative form")
	}
	if n.Child("c") != name(t, "/a/b/c") || (Name{}).Child("c") != name(t, "/c") {
		t.Error("children")
	}
	if !(Name{}).IsRoot() || n.IsRoot() {
		t.Error("root")
	}
}

func TestListableNamesAreThoseThatCanBeAsked(t *testing.T) {
	for base, want := range map[string]bool{
		"a": true, "\xff": true, ".hidden": true, "a\nb": false, "a\rb": false, "a/b": false,
		"": false, ".ftps-part-1": false, ".FTPS-x": false, strings.Repeat("x", 256): false,
	} {
		if Listable(base) != want {
			t.Errorf("%.20q: %v", base, !want)
		}
	}
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{"", "..", "a/../b", "/../x", "a//b/.", "\x00", ".ftps-x", "a/.ftps-x"} {
		f.Add("/c/d", s)
	}
	f.Fuzz(func(t *testing.T, cwd, arg string) {
		at, err := Resolve(Name{}, cwd)
		if err != nil {
			return
		}
		n, err := Resolve(at, arg)
		if err != nil {
			return
		}
		p := n.String()
		if p[0] != '/' || strings.ContainsAny(p, "\x00\r\n") || len(p) > MaxPath {
			t.Fatalf("%q", p)
		}
		if !n.IsRoot() {
			for part := range strings.SplitSeq(p[1:], "/") {
				if part == "" || part == "." || part == ".." || !Listable(part) {
					t.Fatalf("%q has the component %q", p, part)
				}
			}
		}
		if again, err := Resolve(Name{}, p); err != nil || again != n {
			t.Fatalf("%q resolves to %q, %v", p, again, err)
		}
	})
}
