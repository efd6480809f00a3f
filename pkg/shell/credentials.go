package shell

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"

	"ftps/pkg/fault"
)

// maxSecret bounds what is read where a password should be.
const maxSecret = 64 << 10

// Secrets says where a password may come from. It is looked for in the order
// of the fields; none of them is a command line that others can read.
type Secrets struct {
	Stdin       *bufio.Reader // its first line, if not nil
	File        string        // the first line of a file
	Command     string        // the first line that a command prints
	Environment string        // FTPS_PASSWORD
	Netrc       string        // path of the file
	Err         io.Writer     // for the command's own messages
}

// Find returns the password of a user, or "" where no source has one. With
// user "" the netrc may name the user too.
func (s Secrets) Find(ctx context.Context, host, user string) (foundUser, password string, err error) {
	switch {
	case s.Stdin != nil:
		password, err = secretLine(s.Stdin)
	case s.File != "":
		var f *os.File
		if f, err = os.Open(s.File); err == nil {
			password, err = secretLine(bufio.NewReader(f))
			f.Close()
		}
	case s.Command != "":
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", s.Command)
		cmd.Stdin, cmd.Stderr = os.Stdin, s.Err
		var out []byte
		if out, err = cmd.Output(); err == nil {
			password, err = secretLine(bufio.NewReader(bytes.NewReader(out)))
		}
	case s.Environment != "":
		return user, s.Environment, nil
	case s.Netrc != "":
		return findNetrc(s.Netrc, host, user)
	default:
		return user, "", nil
	}
	switch {
	case ctx.Err() != nil:
		return user, "", ctx.Err()
	case err != nil:
		return user, "", fault.Wrap(err, "cli.client.password.unreadable", err.Error())
	case password == "":
		return user, "", fault.New("cli.client.password.empty")
	}
	return user, password, nil
}

func secretLine(r *bufio.Reader) (string, error) {
	var line []byte
	for len(line) < maxSecret {
		c, err := r.ReadByte()
		if errors.Is(err, io.EOF) || c == '\n' {
			break
		}
		if err != nil {
			return "", err
		}
		line = append(line, c)
	}
	return strings.TrimSuffix(string(line), "\r"), nil
}

// findNetrc looks for the host, and the user if one is known, in a netrc
// file. An entry "default" stands for every host.
func findNetrc(path, host, user string) (foundUser, password string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return user, "", nil // most people have none
	}
	for _, e := range parseNetrc(string(data)) {
		if e.machine != "" && !strings.EqualFold(e.machine, host) || user != "" && e.login != user {
			continue
		}
		if e.password != "" {
			if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
				return user, "", fault.New("cli.client.netrc.open", path)
			}
		}
		return e.login, e.password, nil
	}
	return user, "", nil
}

type netrcEntry struct{ machine, login, password string } // machine "" is default

// parseNetrc reads the words of a netrc file. Macros (macdef, up to an empty
// line) are passed over.
func parseNetrc(text string) []netrcEntry {
	var entries []netrcEntry
	macro := false
	var words []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			macro = false
		}
		if macro || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		for i, f := range fields {
			if f == "macdef" {
				fields, macro = fields[:i], true
				break
			}
		}
		words = append(words, fields...)
	}
	for i := 0; i < len(words); i++ {
		value := func() string {
			if i+1 < len(words) {
				i++
				return words[i]
			}
			return ""
		}
		switch words[i] {
		case "machine":
			entries = append(entries, netrcEntry{machine: value()})
		case "default":
			entries = append(entries, netrcEntry{})
		case "login":
			if n := len(entries); n > 0 {
				entries[n-1].login = value()
			}
		case "password":
			if n := len(entries); n > 0 {
				entries[n-1].password = value()
			}
		}
	}
	return entries
}
