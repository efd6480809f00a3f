package ftpserver

import (
	"strings"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

// storOption is one word of OPTS STOR, by which a client says how uploads are
// to go. It is an extension of our own, announced in FEAT's line STOR
// (RFC 2389 §3.2, §4).
type storOption struct {
	name string
	set  func(s *session, value string) error
}

var storOptions = []storOption{
	{"ahead", setAhead},
	{"modify", setModify},
}

// storWords are the words of FEAT's line STOR, each with a semicolon behind
// it, as the facts of MLST have it.
func storWords() string {
	var b strings.Builder
	for _, o := range storOptions {
		b.WriteString(o.name + ";")
	}
	return b.String()
}

// coming is what OPTS STOR has said about the next upload. That upload ends
// it, whatever becomes of it.
type coming struct {
	modTime time.Time // of the file, zero for the moment when it is whole
}

// optsStor is OPTS STOR: words with values, "ahead=on;", of which all are
// taken or none.
func (s *session) optsStor(words string) (reply, error) {
	params, next := s.params, s.coming
	for word := range strings.SplitSeq(strings.TrimSuffix(words, ";"), ";") {
		if err := s.setStorOption(word); err != nil {
			s.params, s.coming = params, next
			return reply{}, err
		}
	}
	return plain(200, "STOR OPTS "+words), nil
}

func (s *session) setStorOption(word string) error {
	name, value, _ := strings.Cut(word, "=")
	for _, o := range storOptions {
		if strings.EqualFold(o.name, name) {
			return o.set(s, value)
		}
	}
	return refuse("reply.opts.stor", storWords())
}

// setModify is the option modify: the time of the next file, before its data.
// A store of objects can keep it with them, where MFMT afterwards is a second
// object. Who may not say MFMT may not say this.
func setModify(s *session, value string) error {
	if s.login.account == nil {
		return refuse("reply.needlogin")
	}
	if s.login.account.Perm&vfs.Chtime == 0 {
		return refuse("reply.noright", "OPTS STOR modify")
	}
	when, err := ftp.ParseTime(value)
	if err != nil {
		return refuseFor(err, "reply.time")
	}
	s.coming.modTime = when
	return nil
}
