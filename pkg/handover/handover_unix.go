//go:build unix

package handover

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// inherits names the descriptor in the environment of the program that is
// started: its number and nothing else.
const inherits = "FTPS_HANDOVER_FD"

// ours are variables that a service manager set for this process alone.
var ours = []string{inherits, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"}

// Start runs a program as this one's successor and returns the link to it.
// Where a service manager watches, it is the manager's child and not ours, and
// there is nothing to wait for.
func Start(program string, args []string) (*Link, *exec.Cmd, error) {
	here, there, err := pair()
	if err != nil {
		return nil, nil, err
	}
	defer there.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = asSibling()
	cmd.ExtraFiles = []*os.File{there}
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if !contains(ours, name) {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(cmd.Env, inherits+"=3") // the first of ExtraFiles
	if err := cmd.Start(); err != nil {
		here.Close()
		return nil, nil, err
	}
	return newLink(here), cmd, nil
}

func contains(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// Inherited returns the link to the server that started this program as its
// successor, or nil. It is called once, at the start.
func Inherited() (*Link, error) {
	word, ok := os.LookupEnv(inherits)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(inherits)
	fd, err := strconv.Atoi(word)
	if err != nil || fd < 3 {
		return nil, syscall.EBADF
	}
	syscall.CloseOnExec(fd)
	conn, err := unixConn(os.NewFile(uintptr(fd), "handover"))
	if err != nil {
		return nil, err
	}
	return newLink(conn), nil
}

// Pair returns both ends of a link, for one process that plays both servers.
func Pair() (*Link, *Link, error) {
	here, there, err := pair()
	if err != nil {
		return nil, nil, err
	}
	other, err := unixConn(there)
	if err != nil {
		here.Close()
		return nil, nil, err
	}
	return newLink(here), newLink(other), nil
}

func pair() (*net.UnixConn, *os.File, error) {
	// No child that is started meanwhile may get an end.
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	there := os.NewFile(uintptr(fds[1]), "handover")
	here, err := unixConn(os.NewFile(uintptr(fds[0]), "handover"))
	if err != nil {
		there.Close()
		return nil, nil, err
	}
	return here, there, nil
}

func unixConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, syscall.ENOTSOCK
	}
	return unix, nil
}

var rightsSpace = syscall.CmsgSpace(4 * maxSockets)

func rights(fds []int) []byte {
	if len(fds) == 0 {
		return nil
	}
	return syscall.UnixRights(fds...)
}

// filesIn takes the descriptors out of what came beside a message.
func filesIn(control []byte) (files []*os.File) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "socket"))
		}
	}
	return files
}
