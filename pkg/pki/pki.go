// Package pki looks after keys and certificates, on both ends.
//
// For a server it makes a certificate ([Make], [Renew]), loads pairs and
// reloads them when their files change ([Keeper]). For a client it decides
// whether to trust the server at the other end ([Policy], [Trust]), and
// remembers those it met ([KnownHosts]). Both ends name a key by its [Pin].
//
// The package opens no connection and prints nothing: what it has to say to a
// person it returns as a fault with a key of the catalogue.
package pki

import (
	"errors"
	"fmt"
)

// ErrTrust is the cause of every refusal to trust a server. The causes below
// are kinds of it.
var ErrTrust = errors.New("server not trusted")

// The kinds of refusal.
var (
	// ErrPin: the server's key is none of those that were pinned.
	ErrPin = fmt.Errorf("%w: pin does not match", ErrTrust)
	// ErrKeyChanged: the server's key is not the one that known_hosts holds.
	ErrKeyChanged = fmt.Errorf("%w: key changed", ErrTrust)
	// ErrUnknownHost: the server was never met, and nobody vouches for it.
	ErrUnknownHost = fmt.Errorf("%w: unknown host", ErrTrust)
	// ErrDeclined: a person was asked and said no.
	ErrDeclined = fmt.Errorf("%w: declined", ErrTrust)
	// ErrChain: a valid chain was demanded and there is none.
	ErrChain = fmt.Errorf("%w: no valid chain", ErrTrust)
	// ErrDataKey: a data connection showed another key than its control
	// connection.
	ErrDataKey = fmt.Errorf("%w: data connection shows another key", ErrTrust)
	// ErrNoCertificate: the server showed none at all.
	ErrNoCertificate = fmt.Errorf("%w: no certificate", ErrTrust)
)

// The causes of refusing to load or to make a pair.
var (
	// ErrMismatch: the key is not the certificate's.
	ErrMismatch = errors.New("key does not match certificate")
	// ErrExpired: the certificate's time is over.
	ErrExpired = errors.New("certificate expired")
	// ErrNotYetValid: the certificate's time has not begun.
	ErrNotYetValid = errors.New("certificate not yet valid")
	// ErrNoPEM: a file holds no block of the kind that was looked for.
	ErrNoPEM = errors.New("no such PEM block")
	// ErrEncrypted: a key is under a passphrase.
	ErrEncrypted = errors.New("key is encrypted")
	// ErrExists: a key is already there, and is never overwritten.
	ErrExists = errors.New("key exists")
	// ErrIssued: a certificate comes from an authority, which alone can renew
	// it.
	ErrIssued = errors.New("certificate was issued by an authority")
	// ErrBadName: a host name or address that no certificate and no
	// known_hosts can hold.
	ErrBadName = errors.New("bad host name")
	// ErrBadPin: a text that is not a pin.
	ErrBadPin = errors.New("not a pin")
)
