// Package limit says who must wait: addresses that failed to log in
// ([Logins]) or misbehaved ([Scores]), connections beyond what is allowed ([Connections]), password
// checks and other work beyond what the processor can carry ([Checks], [Fair]), and bytes beyond a
// rate ([Rate]).
//
// The package knows no sessions and no accounts, only addresses, names and
// numbers. Every type may be used from many goroutines.
package limit

import "net/netip"

// Network returns the unit in which addresses are counted: an IPv4 address
// for itself, also when it is written as an IPv6 one, and an IPv6 address
// with its /64, because one customer holds at least so many.
func Network(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() {
		return addr
	}
	prefix, _ := addr.Prefix(64) // fails only for more bits than there are
	return prefix.Addr()
}
