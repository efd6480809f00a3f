package ftpserver_test

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"ftps/pkg/ftpserver"
	"ftps/pkg/ftptest"
)

// Nobody waits for a handshake that its client does not go on with: neither
// the server's end nor, with another second for a goodbye, its own time-out.
func TestTheServersEndCutsAHalfHandshake(t *testing.T) {
	s := ftptest.Start(t, ftptest.Options{Server: func(c *ftpserver.Config) { c.HandshakeTimeout = time.Hour }})
	half := s.Dial(t)
	half.Expect(220)
	half.Cmd(234, "AUTH TLS")
	half.Write("\x16\x03\x01") // and no more of the hello
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	s.FTP.Shutdown(impatient)
	if codes := half.ExpectClosed(); len(codes) != 0 {
		t.Errorf("replies into an unfinished handshake: %v", codes)
	}
	if late := time.Since(began); late > ftptest.Patience/2 {
		t.Errorf("it took %v", late)
	}
}

// A handshake takes a deep stack, a command does not: ten thousand sessions
// that wait for commands must not each keep the one of their handshake for
// longer than a moment.
func TestASessionDoesNotKeepTheStackOfItsHandshake(t *testing.T) {
	const sessions, most = 100, 16 << 10
	s := ftptest.Start(t, ftptest.Options{})
	secured(t, s).Cmd(215, "SYST")                   // what the first one brings along
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would halve them
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range sessions {
		secured(t, s).Cmd(215, "SYST")
	}
	each := 0
	for deadline := time.Now().Add(ftptest.Patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		runtime.ReadMemStats(&after)
		if each = int(int64(after.StackInuse)-int64(before.StackInuse)) / sessions; each <= most {
			t.Logf("a session keeps %d bytes of stack", each)
			return
		}
	}
	t.Errorf("a session keeps %d bytes of stack", each)
}
