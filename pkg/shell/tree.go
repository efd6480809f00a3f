package shell

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

// maxWalk is deeper than any tree that was made by hand.
const maxWalk = 128

// walk visits all that is below a folder of the server, parents first. Lines
// that cannot be read are told, and make it fail in the end.
func (s *Session) walk(ctx context.Context, top string, visit func(name string, e ftp.Entry)) error {
	defer s.Dialogue.hush()()
	var gap error
	folders := []string{top}
	for len(folders) > 0 {
		folder := folders[0]
		folders = folders[1:]
		if strings.Count(folder, "/")-strings.Count(top, "/") > maxWalk {
			return &ftpclient.UnknownLineError{Line: folder, Err: fs.ErrInvalid}
		}
		for e, err := range s.Server.List(ctx, folder) {
			var line *ftpclient.UnknownLineError
			var name *ftpclient.NameError
			switch {
			case errors.As(err, &line), errors.As(err, &name), err != nil && folder != top && ctx.Err() == nil && s.Server.Usable():
				gap = err
				fmt.Fprintln(s.Err, s.text("shell.transfer.gap", ftp.Sanitise(folder), explainLine(s, err)))
			case err != nil:
				return err
			default:
				full := e.Name
				if folder != "" {
					full = strings.TrimSuffix(folder, "/") + "/" + e.Name
				}
				visit(full, e)
				if e.Type == ftp.Dir {
					folders = append(folders, full)
				}
			}
		}
	}
	return gap
}

func runDu(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	names := args.operands
	if len(names) == 0 {
		names = []string{""}
	}
	for _, top := range names {
		var bytes, files int64
		err := s.walk(ctx, top, func(_ string, e ftp.Entry) {
			if e.Type == ftp.File {
				files++
				bytes += max(0, e.Size)
			}
		})
		if err != nil {
			return err
		}
		if top == "" {
			top = "."
		}
		if s.JSON {
			writeJSON(out, struct {
				Name  string `json:"name"`
				Files int64  `json:"files"`
				Bytes int64  `json:"bytes"`
			}{top, files, bytes})
			continue
		}
		fmt.Fprintln(out, s.text("shell.du", Bytes(bytes), files, ftp.Sanitise(top)))
	}
	return nil
}

// runFind prints what is below a folder and has a name of the pattern.
func runFind(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	top, pattern := args.operand(0, ""), args.operand(1, "*")
	if _, err := path.Match(pattern, ""); err != nil {
		return &misuse{fault.New("client.pattern", ftp.Sanitise(pattern))}
	}
	return s.walk(ctx, top, func(name string, e ftp.Entry) {
		if ok, _ := path.Match(pattern, e.Name); !ok {
			return
		}
		if s.JSON {
			e.Name = name
			writeJSON(out, object(e))
			return
		}
		fmt.Fprintln(out, paint(s.colourOut && e.Type == ftp.Dir, blue, ftp.Sanitise(name)))
	})
}

// runHash prints the server's hashes, as sha256sum prints its own.
func runHash(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	defer s.Dialogue.hush()()
	method, ok := s.Server.HashMethod()
	if !ok {
		return fault.New("shell.hash.none")
	}
	for _, name := range args.operands {
		e, err := s.Server.Stat(ctx, name)
		if err != nil {
			return err
		}
		sum, err := s.Server.SumOf(ctx, method, name, -1, max(0, e.Size))
		if err != nil {
			return err
		}
		if s.JSON {
			writeJSON(out, struct {
				Name      string `json:"name"`
				Algorithm string `json:"algorithm"`
				Hash      string `json:"hash"`
			}{name, method.Algorithm, hex.EncodeToString(sum)})
			continue
		}
		if method.Algorithm != "SHA-256" {
			fmt.Fprintf(out, "%s ", method.Algorithm)
		}
		fmt.Fprintf(out, "%s  %s\n", hex.EncodeToString(sum), ftp.Sanitise(name))
	}
	return nil
}

func runChmod(ctx context.Context, s *Session, args arguments, _ io.Writer) error {
	mode, err := strconv.ParseUint(args.operands[0], 8, 32)
	if err != nil || mode > 0o777 {
		return &misuse{fault.New("shell.chmod.mode", ftp.Sanitise(args.operands[0]))}
	}
	return each(args.operands[1:], func(name string) error { return s.Server.Chmod(ctx, name, fs.FileMode(mode)) })
}

// runTree draws what is below a folder.
func runTree(ctx context.Context, s *Session, args arguments, out io.Writer) error {
	defer s.Dialogue.hush()()
	top := args.operand(0, "")
	if top == "" {
		fmt.Fprintln(out, ".")
	} else {
		fmt.Fprintln(out, paint(s.colourOut, blue, ftp.Sanitise(top)))
	}
	missed, err := s.branch(ctx, top, "", 0, out)
	if err == nil && missed > 0 {
		err = &incomplete{fault.New("shell.ls.missed", missed)}
	}
	return err
}

// branch draws one folder, and counts what it could not.
func (s *Session) branch(ctx context.Context, folder, indent string, depth int, out io.Writer) (missed int, err error) {
	if depth > maxWalk {
		return 1, nil
	}
	entries, missed, err := s.list(ctx, folder)
	if err != nil {
		if depth > 0 && ctx.Err() == nil && s.Server.Usable() {
			fmt.Fprintln(s.Err, s.text("shell.transfer.gap", ftp.Sanitise(folder), explainLine(s, err)))
			return missed + 1, nil
		}
		return missed, err
	}
	for i, e := range entries {
		knee, below := "├── ", "│   "
		if i == len(entries)-1 {
			knee, below = "└── ", "    "
		}
		fmt.Fprintln(out, indent+knee+s.name(e))
		if e.Type != ftp.Dir {
			continue
		}
		full := e.Name
		if folder != "" {
			full = under(folder, e.Name)
		}
		more, err := s.branch(ctx, full, indent+below, depth+1, out)
		if missed += more; err != nil {
			return missed, err
		}
	}
	return missed, nil
}
