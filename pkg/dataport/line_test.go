package dataport

import (
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/event"
)

// A thousand sessions of one account, all waiting for a port, took a
// processor: each of them looked at every port four times a second, and so
// did everybody whenever one came or went.
func TestALongLineLooksOnceAndNotEachForItself(t *testing.T) {
	const line = 1000
	inBubble(t, 1, nil, func(t *testing.T, r *rig) {
		first := r.client(alice, "ana", Require, nil)
		take(first.pasv(), event.Download) // in use: it makes no room by itself
		granted := make(chan *Promise, line)
		for range line {
			s := r.client(alice, "ana", Require, nil).s
			go func() {
				pr, _ := s.Promise(t.Context())
				granted <- pr
			}()
		}
		synctest.Wait()
		time.Sleep(10 * time.Second)
		r.ports.mu.Lock()
		looks := r.ports.looks
		r.ports.mu.Unlock()
		// Once as each comes, and four times a second.
		if looks > 2*line+100 {
			t.Errorf("%d in line looked %d times", line, looks)
		}
		first.s.Close()
		if pr := <-granted; pr == nil {
			t.Error("nobody's turn came")
		}
		for range line - 1 {
			<-granted
		}
	})
}
