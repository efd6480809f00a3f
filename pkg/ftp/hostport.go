package ftp

import (
	"net/netip"
	"strconv"
	"strings"
)

// FormatPORT returns h1,h2,h3,h4,p1,p2 (RFC 959 §5.3.2), and "" where the
// address is not IPv4, for which the form has no room.
func FormatPORT(ap netip.AddrPort) string {
	addr := ap.Addr().Unmap()
	if !addr.Is4() {
		return ""
	}
	var b []byte
	for _, n := range addr.As4() {
		b = append(strconv.AppendUint(b, uint64(n), 10), ',')
	}
	b = append(strconv.AppendUint(b, uint64(ap.Port()>>8), 10), ',')
	return string(strconv.AppendUint(b, uint64(ap.Port()&0xff), 10))
}

// ParsePORT reads h1,h2,h3,h4,p1,p2: six decimal numbers up to 255, nothing
// before, between or behind. Port 0 is refused.
func ParsePORT(arg string) (netip.AddrPort, error) {
	var n [6]byte
	for i := range n {
		word, rest, comma := strings.Cut(arg, ",")
		v, err := strconv.ParseUint(word, 10, 8)
		if err != nil || len(word) > 3 || comma != (i < 5) {
			return netip.AddrPort{}, ErrHostPort
		}
		n[i], arg = byte(v), rest
	}
	port := uint16(n[4])<<8 | uint16(n[5])
	if port == 0 {
		return netip.AddrPort{}, ErrHostPort
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[:4])), port), nil
}

// FormatPASVReply returns the text of a 227 reply. It is read by machines and
// has no translation.
func FormatPASVReply(ap netip.AddrPort) string {
	return "Entering Passive Mode (" + FormatPORT(ap) + ")"
}

// ParsePASVReply finds the host and port in the text of a 227 reply. RFC 1123
// §4.1.2.6: the parentheses cannot be relied on, one looks for the digits.
func ParsePASVReply(text string) (netip.AddrPort, error) {
	between := func(r rune) bool { return r != ',' && (r < '0' || r > '9') }
	for run := range strings.FieldsFuncSeq(text, between) {
		if ap, err := ParsePORT(strings.Trim(run, ",")); err == nil {
			return ap, nil
		}
	}
	return netip.AddrPort{}, ErrHostPort
}

// Network protocols of RFC 2428 §2.
const (
	familyIPv4 = "1"
	familyIPv6 = "2"
)

// FormatEPRT returns |1|address|port| or |2|address|port| (RFC 2428 §2).
func FormatEPRT(ap netip.AddrPort) string {
	addr, family := ap.Addr().Unmap().WithZone(""), familyIPv6
	if addr.Is4() {
		family = familyIPv4
	}
	return "|" + family + "|" + addr.String() + "|" + strconv.Itoa(int(ap.Port())) + "|"
}

// ParseEPRT reads the argument of EPRT, with whatever delimiter. A number of
// an unknown protocol is [ErrFamily], which RFC 2428 §2 answers with 522;
// everything else is [ErrHostPort].
func ParseEPRT(arg string) (netip.AddrPort, error) {
	// RFC 2428 §2: the delimiter is one of ASCII 33–126, "|" recommended.
	if arg == "" || arg[0] < 33 || arg[0] > 126 {
		return netip.AddrPort{}, ErrHostPort
	}
	part := strings.Split(arg, arg[:1])
	if len(part) != 5 || part[4] != "" || !allDigits(part[1]) {
		return netip.AddrPort{}, ErrHostPort
	}
	if part[1] != familyIPv4 && part[1] != familyIPv6 {
		return netip.AddrPort{}, ErrFamily
	}
	addr, err := netip.ParseAddr(part[2])
	if err != nil || addr.Zone() != "" || addr.Is4() != (part[1] == familyIPv4) {
		return netip.AddrPort{}, ErrHostPort
	}
	port, err := parsePort(part[3])
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(addr, port), nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || len(s) > 5 {
		return 0, ErrHostPort
	}
	return uint16(n), nil
}

// EPSV is the argument of the EPSV command.
type EPSV uint8

// What RFC 2428 §3 lets a client ask for.
const (
	EPSVAny  EPSV = iota // no argument: the control connection's protocol
	EPSVIPv4             // 1
	EPSVIPv6             // 2
	EPSVAll              // ALL: no other command will open data connections
)

// ParseEPSV reads the argument of EPSV. A number of an unknown protocol is
// [ErrFamily] (522), everything else is [ErrHostPort].
func ParseEPSV(arg string) (EPSV, error) {
	switch {
	case arg == "":
		return EPSVAny, nil
	case arg == familyIPv4:
		return EPSVIPv4, nil
	case arg == familyIPv6:
		return EPSVIPv6, nil
	case strings.EqualFold(arg, "ALL"):
		return EPSVAll, nil
	case allDigits(arg):
		return 0, ErrFamily
	}
	return 0, ErrHostPort
}

// FormatEPSVReply returns the text of a 229 reply. It is read by machines and
// has no translation.
func FormatEPSVReply(port uint16) string {
	return "Entering Extended Passive Mode (|||" + strconv.Itoa(int(port)) + "|)"
}

// ParseEPSVReply finds the port in the text of a 229 reply, (<d><d><d>port<d>).
// Protocol and address between the delimiters are empty (RFC 2428 §3): the
// data connection goes to the control connection's address.
func ParseEPSVReply(text string) (uint16, error) {
	for {
		_, rest, found := strings.Cut(text, "(")
		if !found {
			return 0, ErrHostPort
		}
		if inner, _, found := strings.Cut(rest, ")"); found {
			if port, ok := epsvPort(inner); ok {
				return port, nil
			}
		}
		text = rest
	}
}

func epsvPort(s string) (uint16, bool) {
	if len(s) < 5 || s[0] < 33 || s[0] > 126 || isDigit(s[0]) {
		return 0, false
	}
	number, open := strings.CutPrefix(s, strings.Repeat(s[:1], 3))
	number, closed := strings.CutSuffix(number, s[:1])
	port, err := parsePort(number)
	return port, open && closed && err == nil
}
