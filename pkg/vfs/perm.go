package vfs

import "strings"

// Perm is a set of rights.
type Perm uint16

// The rights that users.yaml and --perm name.
const (
	Read Perm = 1 << iota
	Write
	Append
	Delete
	Rename
	Mkdir
	List
	Chtime
)

// The sets that have names of their own.
const (
	ReadOnly  = Read | List
	ReadWrite = Read | Write | Append | Delete | Rename | Mkdir | List | Chtime
	Dropbox   = Write // never list, never read back
)

var permNames = []struct {
	name string
	perm Perm
}{
	{"read", Read}, {"write", Write}, {"append", Append}, {"delete", Delete},
	{"rename", Rename}, {"mkdir", Mkdir}, {"list", List}, {"chtime", Chtime},
	{"ro", ReadOnly}, {"rw", ReadWrite}, {"dropbox", Dropbox},
}

// ParsePerm reads one word: a right or a named set.
func ParsePerm(word string) (Perm, bool) {
	for _, p := range permNames {
		if p.name == word {
			return p.perm, true
		}
	}
	return 0, false
}

// Has reports whether p holds every right of q.
func (p Perm) Has(q Perm) bool { return p&q == q }

// Replaces reports whether whoever has p may put something else in the place
// of a file that is there. Whoever can neither read, list, append to nor remove
// what others left (dropbox) can only add to it.
func (p Perm) Replaces() bool { return p&(Read|List|Append|Delete) != 0 }

// String returns the name of a named set, or the rights with commas.
func (p Perm) String() string {
	for _, n := range permNames[8:] {
		if n.perm == p {
			return n.name
		}
	}
	var words []string
	for _, n := range permNames[:8] {
		if p.Has(n.perm) {
			words = append(words, n.name)
		}
	}
	return strings.Join(words, ",")
}
