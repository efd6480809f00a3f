package s3fs

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"ftps/pkg/vfs"
)

// key is the object of a name. A key is UTF-8 and at most 1,024 bytes long,
// with the prefix, whatever the store.
func (f *FS) key(name vfs.Name) (string, error) {
	if name.IsRoot() {
		return f.prefix, nil
	}
	key := f.prefix + name.Relative()
	if len(key) >= maxKey || !utf8.ValidString(key) || hasControl(key) {
		return "", vfs.ErrBadName
	}
	return key, nil
}

// hasControl reports what XML 1.0, in which stores list their keys, cannot
// hold.
func hasControl(key string) bool {
	return strings.ContainsFunc(key, func(r rune) bool {
		return r < 0x20 && r != '\t' || r == 0xFFFE || r == 0xFFFF
	})
}

// folderKey is the prefix of what lies in a folder: "" or "…/".
func (f *FS) folderKey(name vfs.Name) (string, error) {
	key, err := f.key(name)
	if err == nil && !name.IsRoot() {
		key += "/"
	}
	return key, err
}

// beside is the prefix of the hidden keys of one kind for a file: in its
// folder, and with the folder's other names in the same order.
func (f *FS) beside(kind string, name vfs.Name) (string, error) {
	folder, err := f.folderKey(name.Parent())
	if err != nil {
		return "", err
	}
	return f.besideKey(kind, folder+name.Base())
}

// besideKey is beside for the key of a file.
func (f *FS) besideKey(kind, file string) (string, error) {
	at := strings.LastIndexByte(file, '/') + 1
	key := file[:at] + kind + "/" + encode(kind, file[at:])
	if len(key) > maxKey-maxTail {
		return "", vfs.ErrBadName
	}
	return key, nil
}

// maxTail is room for what follows HEX: an ETag and a time, or the id of an
// upload, which is up to some 170 bytes in practice.
const maxTail = 200

// Stores that keep objects as files take no component of over 255 bytes. A
// name of short digits leaves room for a time in the same one: each component
// more costs such a store a folder.
const (
	component = 240
	short     = 200
)

// encode writes a base name in hexadecimal, in components that a store takes,
// and ends it. "/" and "!" sort before every digit, so encoded names sort as
// the names themselves.
func encode(kind, base string) string {
	digits := hex.EncodeToString([]byte(base))
	if kind == hiddenTime && len(digits) <= short {
		return digits + "!"
	}
	var out strings.Builder
	for len(digits) > component {
		out.WriteString(digits[:component] + "/")
		digits = digits[component:]
	}
	return out.String() + digits + "/!"
}

// decode reads what encode wrote at the beginning of s.
func decode(s string) (base, rest string, ok bool) {
	digits, rest, ok := strings.Cut(s, "!")
	raw, err := hex.DecodeString(strings.ReplaceAll(digits, "/", ""))
	return string(raw), rest, ok && err == nil && len(raw) > 0
}

// hiddenKey splits a hidden key of one kind: the key of the file that it
// belongs to, and what follows.
func hiddenKey(kind, key string) (file, tail string, ok bool) {
	at := strings.LastIndex(key, kind+"/")
	if at < 0 || at > 0 && key[at-1] != '/' {
		return "", "", false
	}
	base, tail, ok := decode(key[at+len(kind)+1:])
	return key[:at] + base, tail, ok
}

// clean is an ETag without the quotes that some stores leave.
func clean(etag string) string { return strings.Trim(etag, `"`) }
