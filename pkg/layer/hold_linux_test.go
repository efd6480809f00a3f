package layer

import (
	"io"
	"testing"

	"golang.org/x/sys/unix"
)

// The last reply of a control connection, its close_notify and the FIN were
// three packets, each of which woke the peer.
func TestWhatIsHeldGoesWithTheEnd(t *testing.T) {
	if raced {
		t.Skip("sockets are package net's under the race detector")
	}
	packets := func(hold bool) uint32 {
		client, server := loopback(t)
		c := Direct(server)
		if hold {
			Hold(c)
		}
		for _, text := range []string{"221 Bye\r\n", "close_notify"} {
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
		}
		if err := closeWrite(c); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(client); string(got) != "221 Bye\r\nclose_notify" || err != nil {
			t.Fatalf("the peer read %q: %v", got, err)
		}
		raw, err := client.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var info *unix.TCPInfo
		if cerr := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO) }); cerr != nil || err != nil {
			t.Fatal(cerr, err)
		}
		return info.Data_segs_in
	}
	if n := packets(false); n != 2 {
		t.Errorf("%d packets with nothing held", n)
	}
	// The kernel holds for a fifth of a second: a machine with much to do may
	// need another try.
	for range 10 {
		if packets(true) == 1 {
			return
		}
	}
	t.Error("what was held did not go with the end")
}
