package ftpclient

import (
	"crypto/tls"
	"net"
	"time"
)

// WithoutStrictEOF takes away what tells a cut data connection from one that
// has ended.
func (c *Conn) WithoutStrictEOF() {
	c.guards.strict = func(raw net.Conn) net.Conn { return raw }
}

// WithoutOrderlyEnd closes uploads the naive way.
func (c *Conn) WithoutOrderlyEnd() {
	c.guards.drain = false
	c.guards.end = func(tc *tls.Conn, _ net.Conn, _ time.Duration) error { return tc.Close() }
}

// WithoutSameKey lets data connections show any certificate that the roots
// admit.
func (c *Conn) WithoutSameKey() { c.dataTLS.VerifyConnection = nil }

// WithDataTickets lets data connections keep the tickets that they get.
func (c *Conn) WithDataTickets() {
	c.dataTLS.ClientSessionCache = c.dataTLS.ClientSessionCache.(dataSessions).sessions
}

// Settled is what a data connection's hello is narrowed to.
var Settled = settled

// ParseFeatures reads the lines of a reply to FEAT.
var ParseFeatures = parseFeatures
