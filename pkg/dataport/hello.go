package dataport

import (
	"net"
	"sync"

	"golang.org/x/crypto/cryptobyte"
)

// maxHello bounds a ClientHello; ones with post-quantum shares and tickets
// have some 3 KiB.
const maxHello = 32 << 10

// ticketsIn waits for the ClientHello of a connection and returns the tickets
// that it shows; heard is called when its first byte has come. Not a byte is taken from the connection: another process may
// be the one to read it.
func ticketsIn(raw net.Conn, heard func()) (tickets [][]byte, ok bool) {
	heard = sync.OnceFunc(heard)
	peek(raw, maxHello, func(seen []byte) (enough bool) {
		heard()
		tickets, enough, ok = parseHello(seen)
		return enough
	})
	return tickets, ok
}

// parseHello reads the beginning of a TLS connection. It is enough when the
// ClientHello is whole, or when it cannot become one.
func parseHello(seen []byte) (tickets [][]byte, enough, ok bool) {
	var message []byte
	for in := cryptobyte.String(seen); ; {
		// RFC 8446 §5.1: a handshake message may stand in several records.
		var kind uint8
		var version uint16
		var fragment cryptobyte.String
		switch {
		case len(seen) > 0 && seen[0] != 22:
			return nil, true, false
		case !in.ReadUint8(&kind) || !in.ReadUint16(&version) || !in.ReadUint16LengthPrefixed(&fragment):
			return nil, false, false
		case kind != 22 || len(fragment) == 0:
			return nil, true, false
		}
		message = append(message, fragment...)
		hello := cryptobyte.String(message)
		var body cryptobyte.String
		if hello.ReadUint8(&kind) && kind != 1 {
			return nil, true, false
		}
		if hello.ReadUint24LengthPrefixed(&body) {
			tickets, ok = helloTickets(body)
			return tickets, true, ok
		}
	}
}

// helloTickets returns the tickets of a ClientHello (RFC 8446 §4.1.2): the
// identities of pre_shared_key, or session_ticket of TLS 1.2.
func helloTickets(body cryptobyte.String) (tickets [][]byte, ok bool) {
	var id, suites, compression, extensions cryptobyte.String
	if !body.Skip(2+32) || !body.ReadUint8LengthPrefixed(&id) || !body.ReadUint16LengthPrefixed(&suites) ||
		!body.ReadUint8LengthPrefixed(&compression) {
		return nil, false
	}
	if body.Empty() {
		return nil, true
	}
	if !body.ReadUint16LengthPrefixed(&extensions) {
		return nil, false
	}
	for !extensions.Empty() {
		var number uint16
		var data, identities cryptobyte.String
		if !extensions.ReadUint16(&number) || !extensions.ReadUint16LengthPrefixed(&data) {
			return nil, false
		}
		switch number {
		case extSessionTicket:
			if len(data) > 0 {
				tickets = append(tickets, data)
			}
		case extPreSharedKey:
			if !data.ReadUint16LengthPrefixed(&identities) {
				return nil, false
			}
			for !identities.Empty() {
				var ticket cryptobyte.String
				if !identities.ReadUint16LengthPrefixed(&ticket) || !identities.Skip(4) {
					return nil, false
				}
				tickets = append(tickets, ticket)
			}
		}
	}
	return tickets, true
}
