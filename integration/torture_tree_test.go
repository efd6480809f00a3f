//go:build torture

package integration

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// branch is a folder or a file of the model, with what the server keeps of
// broken uploads beside it.
type branch struct {
	dir   bool
	data  []byte
	when  time.Time          // of a file; zero where only the server knows
	kids  map[string]*branch // of a folder
	parts map[string][]byte  // of a folder: by the name they would have got
}

func newFolder() *branch {
	return &branch{dir: true, kids: map[string]*branch{}, parts: map[string][]byte{}}
}

// find returns what stands at a path, or nil.
func (b *branch) find(path []string) *branch {
	for _, name := range path {
		if b == nil || !b.dir {
			return nil
		}
		b = b.kids[name]
	}
	return b
}

// spot returns the folder that a path lies in, or nil, and the last name.
func (b *branch) spot(path []string) (*branch, string) {
	if len(path) == 0 {
		return nil, ""
	}
	parent := b.find(path[:len(path)-1])
	if parent == nil || !parent.dir {
		return nil, ""
	}
	return parent, path[len(path)-1]
}

// begin says what an upload goes on from, or the reply that refuses it.
func (b *branch) begin(path []string, offset int, toEnd bool) (head []byte, refused int) {
	parent, name := b.spot(path)
	if parent == nil {
		return nil, 550
	}
	there := parent.parts[name]
	if old := parent.kids[name]; old != nil {
		if old.dir {
			return nil, 550
		}
		there = old.data
	}
	if toEnd {
		offset = len(there)
	}
	if offset > len(there) {
		return nil, 554
	}
	return there[:offset:offset], 0
}

// put makes an upload the file of that name.
func (b *branch) put(path []string, data []byte) {
	parent, name := b.spot(path)
	parent.kids[name] = &branch{data: data}
	delete(parent.parts, name)
}

func (b *branch) mkdir(path []string) int {
	parent, name := b.spot(path)
	if parent == nil || parent.kids[name] != nil {
		return 550
	}
	parent.kids[name] = newFolder()
	return 257
}

func (b *branch) rmdir(path []string) int {
	parent, name := b.spot(path)
	if parent == nil || parent.kids[name] == nil || !parent.kids[name].dir || len(parent.kids[name].kids) > 0 {
		return 550
	}
	delete(parent.kids, name)
	return 250
}

func (b *branch) removeAll(path []string) int {
	parent, name := b.spot(path)
	if parent == nil || parent.kids[name] == nil || !parent.kids[name].dir {
		return 550
	}
	delete(parent.kids, name)
	return 250
}

func (b *branch) remove(path []string) int {
	parent, name := b.spot(path)
	if parent == nil {
		return 550
	}
	if old := parent.kids[name]; old != nil {
		if old.dir {
			return 550
		}
		delete(parent.kids, name)
		return 250
	}
	if _, ok := parent.parts[name]; ok {
		delete(parent.parts, name)
		return 250
	}
	return 550
}

func (b *branch) rename(from, to []string) int {
	source, base := b.spot(from)
	target, name := b.spot(to)
	switch {
	case source == nil || source.kids[base] == nil || target == nil:
		return 550
	case slices.Equal(from, to):
		return 250
	}
	moved, replaced := source.kids[base], target.kids[name]
	switch {
	case replaced != nil && (moved.dir || replaced.dir):
		return 550
	case len(to) > len(from) && slices.Equal(to[:len(from)], from):
		return 553 // into itself
	}
	delete(source.kids, base)
	target.kids[name] = moved
	return 250
}

// told returns what SIZE and HASH speak of: a file, or where there is none
// what is kept of a broken upload of that name.
func (b *branch) told(path []string) ([]byte, int) {
	parent, name := b.spot(path)
	if parent == nil {
		return nil, 550
	}
	if old := parent.kids[name]; old != nil {
		if old.dir {
			return nil, 550
		}
		return old.data, 213
	}
	if part := parent.parts[name]; len(part) > 0 {
		return part, 213
	}
	return nil, 550
}

// differs compares the model with a folder of the disk and returns what is
// not the same.
func (b *branch) differs(dir string) (found []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return []string{err.Error()}
	}
	seen := map[string]bool{}
	var parts [][]byte
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".ftps-part-") {
			data, err := os.ReadFile(path)
			if err != nil {
				found = append(found, err.Error())
			}
			parts = append(parts, data)
			continue
		}
		seen[e.Name()] = true
		kid := b.kids[e.Name()]
		switch {
		case kid == nil:
			found = append(found, path+" should not be there")
		case kid.dir != e.IsDir():
			found = append(found, path+" is of the wrong kind")
		case kid.dir:
			found = append(found, kid.differs(path)...)
		default:
			data, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(data, kid.data) {
				found = append(found, fmt.Sprintf("%s holds %d bytes, not the %d that it should, %v", path, len(data), len(kid.data), err))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.kids)) {
		if !seen[name] {
			found = append(found, filepath.Join(dir, name)+" is missing")
		}
	}
	want := slices.SortedFunc(maps.Values(b.parts), bytes.Compare)
	slices.SortFunc(parts, bytes.Compare)
	if !slices.EqualFunc(parts, want, bytes.Equal) {
		found = append(found, fmt.Sprintf("%s holds %d parts, not the %d that it should, or other bytes in them", dir, len(parts), len(want)))
	}
	return found
}
