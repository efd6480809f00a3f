package wall

import (
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
)

// Program are the folders without which the program cannot be started again,
// nor a newer one in its place: its own, and those of the libraries where it
// was linked to some.
func Program() []Folder {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	var list []Folder
	for _, dir := range FolderOf(self) {
		list = append(list, Folder{"program", dir, Run})
	}
	if loader := interpreter(self); loader != "" {
		dirs := append(FolderOf(loader), "/lib", "/lib64", "/usr/lib", "/usr/lib64")
		for _, dir := range dirs {
			list = append(list, Folder{"libraries", dir, Run})
		}
	}
	return list
}

// interpreter returns the loader that a program names, "" for none.
func interpreter(program string) string {
	f, err := elf.Open(program)
	if err != nil {
		return "" // another kind of system
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		name := make([]byte, min(p.Filesz, 4096))
		if _, err := p.ReadAt(name, 0); err != nil {
			return ""
		}
		if path := strings.TrimRight(string(name), "\x00"); filepath.IsAbs(path) {
			return path
		}
	}
	return ""
}
