package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ftps/pkg/ftp"
)

// Stat describes one name: by MLST, else by the listing of its folder.
func (c *Conn) Stat(ctx context.Context, path string) (ftp.Entry, error) {
	if err := checkPath(path); err != nil {
		return ftp.Entry{}, err
	}
	if !c.features.Has("MLST") {
		return c.statByList(ctx, path)
	}
	if err := c.enter(); err != nil {
		return ftp.Entry{}, err
	}
	defer c.leave()
	if err := c.askFacts(ctx); err != nil {
		return ftp.Entry{}, err
	}
	r, err := c.expect(ctx, "MLST", path, 2)
	if err != nil {
		return ftp.Entry{}, err
	}
	// RFC 3659 §7.2: the one line in the middle, behind one space.
	if len(r.Lines) < 3 {
		return ftp.Entry{}, &ProtocolError{Command: "MLST", Err: errSyntax}
	}
	e, err := ftp.ParseFactsLine(strings.TrimPrefix(r.Lines[1], " "))
	if err != nil {
		return ftp.Entry{}, &ProtocolError{Command: "MLST", Err: err}
	}
	if e.Type == ftp.CurrentDir || e.Type == ftp.ParentDir {
		e.Type = ftp.Dir
	}
	// Servers write the whole path or the last component, as they like.
	e.Name = base(path)
	return e, nil
}

// statByList finds a name among its neighbours.
func (c *Conn) statByList(ctx context.Context, path string) (ftp.Entry, error) {
	name := base(path)
	if name == "/" || name == "." || name == ".." {
		return ftp.Entry{Name: name, Type: ftp.Dir, Size: -1}, nil
	}
	folder := strings.TrimSuffix(strings.TrimRight(path, "/"), name)
	if folder != "/" {
		folder = strings.TrimRight(folder, "/")
	}
	var found *ftp.Entry
	var gap error
	for e, err := range c.List(ctx, folder) {
		var unknown *UnknownLineError
		var refused *NameError
		switch {
		case errors.As(err, &unknown), errors.As(err, &refused):
			gap = err
		case err != nil:
			return ftp.Entry{}, err
		case e.Name == name:
			found = &e
		}
	}
	switch {
	case found == nil && gap != nil:
		return ftp.Entry{}, fmt.Errorf("%w: %w", &NotFoundError{Name: path}, gap)
	case found == nil:
		return ftp.Entry{}, &NotFoundError{Name: path}
	}
	if found.Type == ftp.File && !found.Precise {
		t, err := c.ModTime(ctx, path)
		switch {
		case err == nil:
			found.ModTime, found.Precise = t, true
		case !c.Usable():
			return ftp.Entry{}, err
		}
	}
	return *found, nil
}

// base is the last component of a server's path.
func base(path string) string {
	trimmed := strings.TrimRight(path, "/")
	if trimmed == "" {
		return "/"
	}
	return trimmed[strings.LastIndexByte(trimmed, '/')+1:]
}
