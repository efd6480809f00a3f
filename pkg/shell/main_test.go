package shell

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The line editor leaves these behind a reader that it cannot call off.
		goleak.IgnoreAnyFunction("github.com/chzyer/readline.(*Operation).ioloop"),
		goleak.IgnoreAnyFunction("github.com/chzyer/readline.(*CancelableStdin).ioloop"),
		goleak.IgnoreAnyFunction("github.com/chzyer/readline.(*FillableStdin).ioloop.func1"),
		goleak.IgnoreTopFunction("os/signal.loop"),
	)
}
