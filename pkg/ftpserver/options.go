package ftpserver

import (
	"strings"
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

// optsStor is OPTS STOR: words with values, "ahead=on;", of which all are
// taken or none.
func (s *session) optsStor(words string) (reply, error) {
	params, once := s.params, s.once
	for word := range strings.SplitSeq(strings.TrimSuffix(words, ";"), ";") {
		if err := s.setStorOption(word); err != nil {
			s.params, s.once = params, once
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
