package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ftps/pkg/fault"
	"ftps/pkg/users"
)

type passwdOptions struct {
	newPassword
}

func newPasswdCommand(a *app) *cobra.Command {
	var o passwdOptions
	cmd := a.command("passwd NAME", "passwd")
	cmd.Args = a.takes(1, 1)
	o.flags(a, cmd)
	place := a.accountFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		set, err := place()
		if err != nil {
			return err
		}
		return a.runPasswd(cmd.Context(), args[0], set.Users, o)
	}
	return cmd
}

// runPasswd gives the account name in the file at path a new password.
func (a *app) runPasswd(ctx context.Context, name, path string, o passwdOptions) error {
	if err := o.check(); err != nil {
		return usage(err)
	}
	// Before anyone types a password twice for nothing.
	list, err := users.Load(path)
	if err != nil {
		return err
	}
	if _, ok := list.Lookup(name); !ok {
		return fault.Wrap(users.ErrNoAccount, "users.name.unknown", name, path)
	}
	password, err := o.get(ctx, a)
	if err != nil {
		return interrupted(err)
	}
	hash, err := users.Hash(password, o.cost)
	if err != nil {
		return err
	}
	wrote, err := users.File{Path: path}.SetPassword(ctx, name, hash)
	if err != nil {
		return err
	}
	a.say("cli.passwd.done", name, wrote)
	a.warnReadable(wrote)
	return o.show(a, password)
}

// newPassword is how a command comes by a password: asked for twice, read
// from standard input, or made. It never stands on the command line.
type newPassword struct {
	fromStdin, generate bool
	cost                int

	ask func(ctx context.Context, question string) (string, error) // instead of the terminal, in tests
}

func (o *newPassword) flags(a *app, cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.fromStdin, "password-stdin", false, a.text("cli.password.flag.stdin"))
	cmd.Flags().BoolVar(&o.generate, "generate", false, a.text("cli.password.flag.generate"))
	cmd.Flags().IntVar(&o.cost, "cost", users.DefaultCost, a.text("cli.password.flag.cost", users.MinCost, users.MaxCost))
}

// check says what is wrong with the flags.
func (o *newPassword) check() error {
	if o.fromStdin && o.generate {
		return fault.New("cli.password.both")
	}
	if err := users.CheckCost(o.cost); err != nil {
		return fault.Wrap(err, "cli.flag.refused", "--cost", err)
	}
	return nil
}

// get returns the password.
func (o *newPassword) get(ctx context.Context, a *app) (string, error) {
	switch {
	case o.generate:
		return users.Generate(), nil
	case o.fromStdin:
		return firstLine(a.in)
	}
	ask := o.ask
	if ask == nil {
		in, ok := a.in.(*os.File)
		if !ok || !term.IsTerminal(int(in.Fd())) {
			return "", usage(fault.New("cli.password.noterminal"))
		}
		ask = func(ctx context.Context, question string) (string, error) { return askSecret(ctx, in, a.err, question) }
	}
	first, err := ask(ctx, a.text("cli.password.ask"))
	if err != nil {
		return "", err
	}
	if err := users.CheckPassword(first); err != nil {
		return "", err
	}
	second, err := ask(ctx, a.text("cli.password.again"))
	if err != nil {
		return "", err
	}
	if first != second {
		return "", fault.New("cli.password.differ")
	}
	return first, nil
}

// show prints a password that was made, once.
func (o *newPassword) show(a *app, password string) error {
	if !o.generate {
		return nil
	}
	_, err := fmt.Fprintln(a.out, password)
	return err
}

// firstLine reads one line without its end.
func firstLine(in io.Reader) (string, error) {
	// Far more than a password may have: what is too long is said to be.
	line, err := bufio.NewReader(io.LimitReader(in, 64<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	return line, users.CheckPassword(line)
}

// askSecret asks a question on a terminal and reads the answer without echo.
func askSecret(ctx context.Context, in *os.File, out io.Writer, question string) (string, error) {
	fd := int(in.Fd())
	// The echo goes before the question comes: a quick answer must not be
	// seen. ReadPassword then gives the line its editing keys back.
	state, err := term.MakeRaw(fd)
	if err != nil {
		return "", err
	}
	// Who leaves with Ctrl-C must find the echo switched on again.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer fmt.Fprintln(out)
	defer func() { _ = term.Restore(fd, state) }()
	if _, err := io.WriteString(out, question); err != nil {
		return "", err
	}
	type answer struct {
		secret []byte
		err    error
	}
	got := make(chan answer, 1)
	// A read from a terminal cannot be called off; when ctx ends first, so
	// does the program, and the reader with it.
	go func() {
		secret, err := term.ReadPassword(fd)
		got <- answer{secret, err}
	}()
	select {
	case a := <-got:
		if errors.Is(a.err, io.EOF) {
			return "", fault.New("users.password.empty")
		}
		return string(a.secret), a.err
	case <-ctx.Done():
		return "", context.Canceled
	}
}

// absolute returns a path that means the same from every folder.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
