package vfs

import "testing"

func TestEveryPermissionHasAWordThatReadsBack(t *testing.T) {
	for _, p := range permNames {
		got, ok := ParsePerm(p.name)
		if !ok || got != p.perm {
			t.Errorf("%s reads as %v, %v", p.name, got, ok)
		}
		// A right that is a whole set by itself is called by the set.
		if again, ok := ParsePerm(got.String()); !ok || again != got {
			t.Errorf("%s is called %q", p.name, got)
		}
	}
	for _, word := range []string{"", "RW", "admin", "read,write"} {
		if p, ok := ParsePerm(word); ok {
			t.Errorf("%q reads as %v", word, p)
		}
	}
}

func TestPermissionsHoldWhatTheySay(t *testing.T) {
	if !ReadOnly.Has(Read|List) || ReadOnly.Has(Write) || ReadOnly.Has(Read|Write) || !ReadWrite.Has(ReadOnly) {
		t.Error("read only and read write")
	}
	if Dropbox.Has(Read) || Dropbox.Has(List) || Dropbox.Has(Delete) || !Dropbox.Has(Write) {
		t.Error("a dropbox is written and nothing else")
	}
	if s := (Read | Delete).String(); s != "read,delete" {
		t.Errorf("a mixture is called %q", s)
	}
}
