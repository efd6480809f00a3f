// Package handover is the socket between a running server and the one that
// takes its place: messages in order, and with each of them open sockets.
//
// The socket is one of a pair. The older server keeps one end and gives the
// other to the program that it starts ([Start], [Inherited]); nobody else has
// a name for it, and what is said over it is in no file and in no environment.
package handover

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Message is one thing said. Body is the speaker's own, as JSON.
type Message struct {
	Kind string          `json:"kind"`
	Body json.RawMessage `json:"body,omitempty"`

	// Files are open sockets that came with it. Whoever receives them closes
	// them.
	Files []*os.File `json:"-"`
}

// Into reads the body.
func (m Message) Into(v any) error { return json.Unmarshal(m.Body, v) }

// Socket is what can be sent along: a listener or a connection of the
// system's.
type Socket interface {
	SyscallConn() (syscall.RawConn, error)
}

const (
	maxMessage = 64 << 20 // of a message; the state of a big server is some MiB
	maxSockets = 128      // in one message; the kernel takes 253
	maxQueue   = 1 << 16  // messages that wait for a server that reads no more
)

// ErrClosed is what Send returns when nobody listens any more.
var ErrClosed = errors.New("handover: the other server is gone")

// Link is one end of the socket. Send may be called from any goroutine and
// never waits for the other end; Receive from one.
type Link struct {
	conn *net.UnixConn

	mu     sync.Mutex
	queue  []parcel
	more   chan struct{} // holds a token when the queue has grown
	closed bool
	done   chan struct{} // the writer has ended
}

type parcel struct {
	text    []byte
	sockets []Socket
	closing []io.Closer
}

func newLink(conn *net.UnixConn) *Link {
	l := &Link{conn: conn, more: make(chan struct{}, 1), done: make(chan struct{})}
	go l.write()
	return l
}

// Send puts a message behind those that are on their way. The sockets that
// follow it must stay open until it has gone; a given one is closed then.
func (l *Link) Send(kind string, body any, sockets ...Socket) error {
	return l.post(kind, body, sockets, nil)
}

// Give is Send for a connection that is the other server's from now on.
func (l *Link) Give(kind string, body any, conn net.Conn) error {
	socket, ok := conn.(Socket)
	if !ok {
		conn.Close()
		return errors.New("handover: not a socket")
	}
	err := l.post(kind, body, []Socket{socket}, []io.Closer{conn})
	if err != nil {
		conn.Close()
	}
	return err
}

func (l *Link) post(kind string, body any, sockets []Socket, closing []io.Closer) error {
	if len(sockets) > maxSockets {
		return errors.New("handover: too many sockets in one message")
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	text, err := json.Marshal(Message{Kind: kind, Body: raw})
	if err != nil {
		return err
	}
	if len(text) > maxMessage {
		return errors.New("handover: message too long")
	}
	text = append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	if len(l.queue) >= maxQueue {
		l.drop()
		return ErrClosed
	}
	l.queue = append(l.queue, parcel{text, sockets, closing})
	select {
	case l.more <- struct{}{}:
	default:
	}
	return nil
}

// write sends what is queued, in order.
func (l *Link) write() {
	defer close(l.done)
	for range l.more {
		for {
			l.mu.Lock()
			if len(l.queue) == 0 {
				closed := l.closed
				l.mu.Unlock()
				if closed {
					return
				}
				break
			}
			next := l.queue[0]
			l.queue[0] = parcel{}
			l.queue = l.queue[1:]
			l.mu.Unlock()
			err := l.put(next)
			for _, c := range next.closing {
				c.Close()
			}
			if err != nil {
				l.fail()
				return
			}
		}
	}
}

// fail ends sending: nobody reads any more.
func (l *Link) fail() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop()
}

// drop is fail under the lock.
func (l *Link) drop() {
	l.closed = true
	for _, p := range l.queue {
		for _, c := range p.closing {
			c.Close()
		}
	}
	l.queue = nil
}

// put writes one message; its sockets go with the first byte.
func (l *Link) put(p parcel) error {
	return withDescriptors(p.sockets, nil, func(fds []int) error {
		n, _, err := l.conn.WriteMsgUnix(p.text, rights(fds), nil)
		if err == nil && n < len(p.text) {
			_, err = l.conn.Write(p.text[n:])
		}
		return err
	})
}

// withDescriptors calls f while none of the sockets can be closed under it.
// Their own File methods would make copies.
func withDescriptors(sockets []Socket, fds []int, f func([]int) error) error {
	if len(sockets) == 0 {
		return f(fds)
	}
	raw, err := sockets[0].SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { inner = withDescriptors(sockets[1:], append(fds, int(fd)), f) })
	return errors.Join(err, inner)
}

// Receive waits for the next message. io.EOF says that the other server has
// ended, or has closed its end.
func (l *Link) Receive() (Message, error) {
	var m Message
	head := make([]byte, 4)
	control := make([]byte, rightsSpace)
	n, got, _, _, err := l.conn.ReadMsgUnix(head, control)
	m.Files = filesIn(control[:got])
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err == nil {
		_, err = io.ReadFull(l.conn, head[n:])
	}
	size := binary.BigEndian.Uint32(head)
	if err == nil && size > maxMessage {
		err = errors.New("handover: message too long")
	}
	if err == nil {
		text := make([]byte, size)
		if _, err = io.ReadFull(l.conn, text); err == nil {
			err = json.Unmarshal(text, &m)
		}
	}
	if err != nil {
		m.Close()
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
			err = io.EOF
		}
		return Message{}, err
	}
	return m, nil
}

// Close closes what came with a message.
func (m *Message) Close() {
	for _, f := range m.Files {
		f.Close()
	}
	m.Files = nil
}

// closing is how long what was sent before the end may take to go.
const closing = 5 * time.Second

// Close ends the link; what was sent before still goes.
func (l *Link) Close() {
	l.conn.SetWriteDeadline(time.Now().Add(closing))
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	<-l.done
	l.conn.Close()
}

// Shut has Receive return, now or when it is called; the link is still to be
// closed.
func (l *Link) Shut() { l.conn.SetReadDeadline(time.Unix(1, 0)) }

// Cut ends the link at once: Receive returns, and what waits is lost.
func (l *Link) Cut() {
	l.fail()
	l.conn.Close()
	select {
	case l.more <- struct{}{}:
	default:
	}
	<-l.done
}
