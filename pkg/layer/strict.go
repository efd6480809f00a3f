package layer

import (
	"errors"
	"io"
	"net"
)

// ErrTruncated says that a connection ended below TLS before close_notify
// ended it inside (RFC 8446 §6.1): bytes may be missing.
var ErrTruncated = errors.New("layer: connection ended without close_notify")

// StrictEOF returns c with the end of its stream turned into ErrTruncated.
//
// crypto/tls reports a FIN at a record boundary as a clean io.EOF, so that a
// stream cut by an attacker looks whole. With this wrapper beneath it the
// only io.EOF that tls.Conn.Read can return is close_notify. The error is
// not io.ErrUnexpectedEOF: crypto/tls folds that one back into io.EOF.
func StrictEOF(c net.Conn) net.Conn { return &strictEOF{c} }

type strictEOF struct{ net.Conn }

func (s *strictEOF) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if err == io.EOF {
		err = ErrTruncated
	}
	return n, err
}

// WriteLast implements [WriteLast].
func (s *strictEOF) WriteLast(b []byte) (int, error) { return WriteLast(s.Conn, b) }

func (s *strictEOF) CloseWrite() error { return closeWrite(s.Conn) }

// NetConn returns the connection beneath.
func (s *strictEOF) NetConn() net.Conn { return s.Conn }
