package ftpclient

import (
	"strings"

	"ftps/pkg/ftp"
)

// checkLine refuses what would end a command line early or be cut off by a
// server written in C. It never alters anything.
func checkLine(arg string) error {
	if ftp.CheckArg(arg) != nil {
		return &NameError{Name: arg}
	}
	return nil
}

// checkPath refuses what no path sent to a server may be.
func checkPath(path string) error {
	if path == "" {
		return &NameError{Name: path}
	}
	return checkLine(path)
}

// checkEntry refuses a name of a listing that is more than one name: whoever
// joins it to a folder of its own would leave that folder.
func checkEntry(name string) error {
	if ftp.CheckName(name) != nil {
		return &NameError{Name: name, FromServer: true}
	}
	return nil
}

// Printable returns what a server sent in a form that a terminal may show,
// line by line.
func Printable(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = ftp.Sanitise(line)
	}
	return strings.Join(lines, "\n")
}
