package mirror

import (
	"path"
	"path/filepath"
	"strings"
)

// Place returns where cp would put source: into target if that is a folder,
// else as target. A source that has no name of its own (".", "..", "/") is
// its content, and that goes into target itself. An empty target is the
// working folder.
//
// Local says whether the target is a local path or a server's.
func Place(source, target string, targetIsFolder, local bool) (string, error) {
	if target == "" {
		target, targetIsFolder = ".", true
	}
	if !targetIsFolder {
		if strings.HasSuffix(target, "/") {
			return "", ErrNotFolder
		}
		return target, nil
	}
	var name string
	if local {
		name = path.Base(source) // the source is the server's
	} else {
		name = filepath.Base(source)
	}
	if name == "." || name == ".." || name == "/" || name == string(filepath.Separator) {
		return target, nil
	}
	if local {
		return filepath.Join(target, name), nil
	}
	return path.Join(target, name), nil
}
