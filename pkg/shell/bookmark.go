package shell

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/pki"
)

// Bookmark is a server by a name of the person's: where it is, which account,
// which key it must show, and in which folder to begin. There is no password
// in it.
type Bookmark struct {
	Name     string `json:"name"`
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Implicit bool   `json:"implicit,omitempty"`
	User     string `json:"user"`
	Pin      string `json:"pin,omitempty"`
	Folder   string `json:"folder,omitempty"`
}

// Target is the server that the bookmark names.
func (b Bookmark) Target() Target {
	return Target{Host: b.Host, Port: b.Port, User: b.User, Folder: b.Folder, Implicit: b.Implicit}
}

// BookmarksPath returns where bookmarks are kept: beside known_hosts, in the
// user's config folder.
func BookmarksPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "ftps", "bookmarks.json"), nil
}

// LoadBookmarks reads the file. One that is not there holds none.
func LoadBookmarks(path string) ([]Bookmark, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || path == "" {
		return nil, nil
	}
	if err != nil {
		return nil, localFault(err)
	}
	var list []Bookmark
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&list); err != nil {
		return nil, fault.Wrap(err, "shell.bookmark.file", path, err.Error())
	}
	for _, b := range list {
		if _, err := ParseTarget(b.Host, b.Port, b.User); err != nil || !bookmarkName.MatchString(b.Name) {
			return nil, fault.New("shell.bookmark.file", path, ftp.Sanitise(b.Name))
		}
	}
	return list, nil
}

// FindBookmark returns the one of that name.
func FindBookmark(list []Bookmark, name string) (Bookmark, bool) {
	i := slices.IndexFunc(list, func(b Bookmark) bool { return b.Name == name })
	if i < 0 {
		return Bookmark{}, false
	}
	return list[i], true
}

// saveBookmarks writes the file whole, for its owner alone.
func saveBookmarks(path string, list []Bookmark) error {
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return localFault(err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".bookmarks-") // 0600
	if err != nil {
		return localFault(err)
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return localFault(err)
}

// bookmarkName: what can be told from an address and a flag, and typed.
var bookmarkName = regexp.MustCompile(`^[\pL\pN][\pL\pN_-]{0,63}$`)

// bookmarkWords are what bookmark does, in both languages.
var bookmarkWords = map[string]func(context.Context, *Session, []string, io.Writer) error{
	"list": listBookmarks, "listar": listBookmarks,
	"add": addBookmark, "agregar": addBookmark,
	"remove": removeBookmark, "rm": removeBookmark, "quitar": removeBookmark,
	"use": useBookmark, "usar": useBookmark,
}

func runBookmark(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	what := args.operand(0, "list")
	run, ok := bookmarkWords[strings.ToLower(what)]
	if !ok {
		return &misuse{fault.New("shell.bookmark.what", ftp.Sanitise(what))}
	}
	if s.Bookmarks == "" {
		return fault.New("shell.bookmark.nowhere")
	}
	names := args.operands[min(1, len(args.operands)):]
	if len(names) == 0 && what != "list" && what != "listar" && len(args.operands) > 0 {
		return &misuse{fault.New("shell.args.missing", "bookmark "+what)}
	}
	return run(ctx, s, names, out)
}

func listBookmarks(_ context.Context, s *Session, _ []string, out io.Writer) error {
	list, err := LoadBookmarks(s.Bookmarks)
	if err != nil {
		return err
	}
	width := 0
	for _, b := range list {
		width = max(width, columns(b.Name))
	}
	for _, b := range list {
		if s.JSON {
			writeJSON(out, b)
			continue
		}
		fmt.Fprintf(out, "%s%s  %s\n", b.Name, strings.Repeat(" ", width-columns(b.Name)), ftp.Sanitise(b.where()))
	}
	return nil
}

func (b Bookmark) where() string {
	return b.User + "@" + b.Target().Address() + b.Folder
}

// addBookmark notes the server, the account, the key it showed and the folder
// of now, under a name.
func addBookmark(ctx context.Context, s *Session, names []string, _ io.Writer) error {
	name := names[0]
	if !bookmarkName.MatchString(name) {
		return &misuse{fault.New("shell.bookmark.name", ftp.Sanitise(name))}
	}
	folder, err := s.remotePath(ctx, "")
	if err != nil {
		return err
	}
	list, err := LoadBookmarks(s.Bookmarks)
	if err != nil {
		return err
	}
	b := Bookmark{Name: name, Host: s.Target.Host, Port: s.Target.Port, Implicit: s.Target.Implicit, User: s.User, Folder: folder}
	if shown := s.Server.TLS().PeerCertificates; len(shown) > 0 {
		b.Pin = pki.PinOf(shown[0]).String()
	}
	list = slices.DeleteFunc(list, func(old Bookmark) bool { return old.Name == name })
	list = append(list, b)
	slices.SortFunc(list, func(a, b Bookmark) int { return strings.Compare(a.Name, b.Name) })
	return saveBookmarks(s.Bookmarks, list)
}

func removeBookmark(_ context.Context, s *Session, names []string, _ io.Writer) error {
	list, err := LoadBookmarks(s.Bookmarks)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, ok := FindBookmark(list, name); !ok {
			return &misuse{fault.New("shell.bookmark.unknown", ftp.Sanitise(name))}
		}
		list = slices.DeleteFunc(list, func(b Bookmark) bool { return b.Name == name })
	}
	return saveBookmarks(s.Bookmarks, list)
}

// useBookmark goes to a bookmark's folder, over a new connection where that is
// on another server or of another account.
func useBookmark(ctx context.Context, s *Session, names []string, _ io.Writer) error {
	list, err := LoadBookmarks(s.Bookmarks)
	if err != nil {
		return err
	}
	b, ok := FindBookmark(list, names[0])
	if !ok {
		return &misuse{fault.New("shell.bookmark.unknown", ftp.Sanitise(names[0]))}
	}
	there := b.Target()
	there.Folder = s.Target.Folder
	if here := s.Target; there != here || b.User != s.User {
		if s.Go == nil {
			return fault.New("shell.bookmark.elsewhere", b.Name)
		}
		if s.User, err = s.Go(ctx, b); err != nil {
			return err
		}
		s.Target, s.Host = b.Target(), b.Host
	}
	s.names.clear()
	if b.Folder == "" {
		return nil
	}
	return s.Server.Cwd(ctx, b.Folder)
}
