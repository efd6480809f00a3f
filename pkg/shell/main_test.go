package shell

import (
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	goleak.VerifyTestMain(m,
		// The line editor leaves these behind a reader that it cannot call off.
		goleak.IgnoreAnyFunction("github.com/chzyer/readline.(*Operation).ioloop"),
		goleak.IgnoreAnyFunction("github.com/chzyer/readline.(*CancelableStdin).ioloop"),
		goleak.IgnoreAnyFunction("github.com/chzyer/readline.(*FillableStdin).ioloop.func1"),
		goleak.IgnoreTopFunction("os/signal.loop"),
	)
}

// childVariable makes the test binary a shell on its own terminal, for tests
// that need a process of its own.
const childVariable = "FTPS_TEST_SHELL_CHILD"

func child() int {
	fake := newServer()
	fake.dialogue = NewDialogue(os.Stderr, false, false)
	if os.Getenv(childVariable) == "stuck" {
		fake.block = make(chan struct{})
	}
	session, err := New(Options{Server: fake, Files: &mover{}, Dialogue: fake.dialogue, Out: os.Stdout, Err: os.Stderr})
	if err != nil {
		return 1
	}
	if session.Interact(context.Background(), NewTerminal(os.Stdin, os.Stdout), "") != nil {
		return 1
	}
	return 0
}
