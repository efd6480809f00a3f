package shell

import (
	"context"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/mirror"
)

const (
	// maxPattern is longer than a name can be.
	maxPattern = 4096
	// maxMatches bounds what patterns may stand for.
	maxMatches = 1_000_000
)

// runMget brings what patterns stand for.
func runMget(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	var items []mirror.Item
	for _, pattern := range args.operands {
		found, err := s.matchRemote(ctx, pattern)
		if err != nil {
			return err
		}
		items = append(items, found...)
	}
	defer s.Dialogue.hush()() // of many files there are too many replies
	local := s.localPath(last(args.values["O"]))
	return s.move(args, out, func(o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
		return s.Files.GetSome(ctx, items, local, o, tell)
	})
}

// runMput sends what patterns stand for, a folder at a time.
func runMput(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	names := make(map[string][]string) // by folder
	var folders []string
	for _, pattern := range args.operands {
		found, err := s.matchLocal(pattern)
		if err != nil {
			return err
		}
		for _, name := range found {
			folder := filepath.Dir(name)
			if names[folder] == nil {
				folders = append(folders, folder)
			}
			names[folder] = append(names[folder], filepath.Base(name))
		}
	}
	remote, err := s.remotePath(ctx, last(args.values["O"]))
	if err != nil {
		return err
	}
	defer s.Dialogue.hush()()
	defer s.names.clear()
	var first error
	for _, folder := range folders {
		err := s.move(args, out, func(o mirror.Options, tell func(mirror.Event)) (mirror.Result, error) {
			return s.Files.PutSome(ctx, folder, names[folder], remote, o, tell)
		})
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return first
}

func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// checkPattern refuses what path.Match would, before anything is asked.
func checkPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil || len(pattern) > maxPattern {
		return &misuse{fault.New("client.pattern", ftp.Sanitise(pattern))}
	}
	return nil
}

// wild reports whether a part of a path is a pattern.
func wild(part string) bool { return strings.ContainsAny(part, `*?[`) }

// bare is a part without the backslashes before its wildcards.
func bare(part string) string {
	var b strings.Builder
	for i := 0; i < len(part); i++ {
		if part[i] == '\\' && i+1 < len(part) {
			i++
		}
		b.WriteByte(part[i])
	}
	return b.String()
}

// matchRemote finds what a pattern stands for on the server. Each part with a
// wildcard costs a listing of each folder that the part before it has found.
func (s *Session) matchRemote(ctx context.Context, pattern string) ([]mirror.Item, error) {
	if err := checkPattern(pattern); err != nil {
		return nil, err
	}
	defer s.Dialogue.hush()()
	top, rest := "", pattern
	if strings.HasPrefix(pattern, "/") {
		top, rest = "/", strings.TrimLeft(pattern, "/")
	}
	base, err := s.remotePath(ctx, top)
	if err != nil {
		return nil, err
	}
	found := []mirror.Item{{Remote: base, Folder: true}}
	for part := range strings.SplitSeq(strings.TrimRight(rest, "/"), "/") {
		var next []mirror.Item
		for _, folder := range found {
			if !folder.Folder {
				continue
			}
			if !wild(part) {
				e, err := s.Server.Stat(ctx, under(folder.Remote, bare(part)))
				if ftpclient.Class(err) == ftpclient.NotFound && s.Server.Usable() {
					continue
				}
				if err != nil {
					return nil, err
				}
				next = append(next, item(folder.Remote, bare(part), e))
				continue
			}
			for e, err := range s.Server.List(ctx, folder.Remote) {
				if err != nil {
					// What is not understood may be what was meant.
					return nil, err
				}
				hidden := strings.HasPrefix(e.Name, ".") && !strings.HasPrefix(part, ".")
				if ok, _ := path.Match(part, e.Name); ok && !hidden {
					next = append(next, item(folder.Remote, e.Name, e))
				}
			}
			if len(next) > maxMatches {
				return nil, mirror.ErrTooDeep
			}
		}
		found = next
	}
	if len(found) == 0 {
		return nil, &ftpclient.NotFoundError{Name: pattern}
	}
	slices.SortFunc(found, func(a, b mirror.Item) int { return strings.Compare(a.Remote, b.Remote) })
	return found, nil
}

func under(folder, name string) string { return strings.TrimSuffix(folder, "/") + "/" + name }

func item(folder, name string, e ftp.Entry) mirror.Item {
	return mirror.Item{Remote: under(folder, name), Size: e.Size, ModTime: e.ModTime, Precise: e.Precise, Folder: isFolder(e)}
}

// matchLocal finds what a pattern stands for here.
func (s *Session) matchLocal(pattern string) ([]string, error) {
	if err := checkPattern(pattern); err != nil {
		return nil, err
	}
	full := pattern
	if !filepath.IsAbs(pattern) && !strings.HasPrefix(pattern, "~") {
		// The folder's own name may have wildcards in it that are none.
		full = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(s.local) + "/" + pattern
	} else {
		full = s.localPath(pattern)
	}
	found, err := filepath.Glob(full)
	if err != nil {
		return nil, &misuse{fault.New("client.pattern", ftp.Sanitise(pattern))}
	}
	if hidden := strings.HasPrefix(filepath.Base(pattern), "."); !hidden {
		found = slices.DeleteFunc(found, func(name string) bool {
			return strings.HasPrefix(filepath.Base(name), ".") && wild(filepath.Base(pattern))
		})
	}
	if len(found) == 0 {
		return nil, localFault(&os.PathError{Op: "open", Path: pattern, Err: os.ErrNotExist})
	}
	return found, nil
}
