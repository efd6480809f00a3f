package terminal

import "testing"

func TestTheScreenIsWhatATerminalShows(t *testing.T) {
	p := Open(t, 20, 4)
	p.Slave.WriteString("first, to be replaced\r\x1b[2Ksecond \x1b[31mred\x1b[0m\r\n\x1b[1Aup\r\nport 12345\r\n")
	p.Sees("12345")
	// The first line is one letter too long: it takes two, and the carriage
	// return leads to the beginning of the second.
	if got, want := p.Screen("12345", "PORT#"), "first, to be replace\nupcond red\nport PORT#\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAPersonSeesWhatComesInTheOrderInWhichItComes(t *testing.T) {
	p := Open(t, 80, 24)
	go p.Slave.WriteString("one two one")
	p.Sees("one")
	p.Sees("two")
	p.Sees("one")
}
