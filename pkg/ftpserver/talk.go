package ftpserver

import (
	"context"
	"fmt"
	"strings"

	"ftps/pkg/catalog"
	"ftps/pkg/ftp"
	"ftps/pkg/vfs"
)

// feat is FEAT (RFC 2389 §3): the lines stand in the tables; some of them
// depend on the session.
func feat(s *session, _ context.Context, _ arg) (reply, error) {
	lines := []string{"Features:"}
	for _, r := range commands() {
		for _, f := range r.feat {
			lines = append(lines, " "+f)
		}
	}
	lines = append(lines,
		" MLST "+s.params.facts.Feature(knownFacts),                                              // RFC 3659 §7.8: a star behind each fact that is on
		" HASH "+ftp.FormatChoices(s.srv.algorithmNames(), s.srv.algorithms[s.params.hash].name), // the word comes first
		" STOR "+storWords(),
		" LANG "+languages(s.control.lang), // RFC 2640 §4.3: a star behind the one in use
		"End")
	return plain(211, lines...), nil
}

func languages(current catalog.Lang) string {
	var tags []string
	for _, l := range catalog.Languages {
		tag := strings.ToUpper(l.String())
		if l == current {
			tag += "*"
		}
		tags = append(tags, tag)
	}
	return strings.Join(tags, ";")
}

// opts is OPTS (RFC 2389 §4).
func opts(s *session, _ context.Context, a arg) (reply, error) {
	what, rest, _ := strings.Cut(a.text, " ")
	switch strings.ToUpper(what) {
	case "UTF8", "UTF-8":
		// Names are UTF-8 or whatever bytes they are; there is nothing to
		// switch, but old clients ask.
		if strings.EqualFold(rest, "OFF") {
			return reply{}, refuse("reply.opts.utf8")
		}
		return say("reply.opts.utf8on"), nil
	case "HASH":
		return s.optsHash(rest)
	case "STOR":
		return s.optsStor(rest)
	case "MODE":
		// OPTS MODE Z LEVEL n: the level is ours to choose.
		return say("reply.clnt"), nil
	case "MLST":
		// RFC 3659 §7.9: unknown facts are ignored, the answer says what is on.
		facts, err := ftp.ParseFactNames(rest)
		if err != nil {
			return reply{}, refuseFor(err, "reply.syntax")
		}
		s.params.facts = facts & knownFacts
		return plain(200, strings.TrimSuffix("MLST OPTS "+s.params.facts.String(), " ")), nil
	}
	return reply{}, refuse("reply.opts.unknown")
}

// optsHash is OPTS HASH: without an argument it tells the algorithm in use.
func (s *session) optsHash(name string) (reply, error) {
	if name == "" {
		return plain(200, s.srv.algorithms[s.params.hash].name), nil
	}
	for i, alg := range s.srv.algorithms {
		if strings.EqualFold(alg.name, name) {
			s.params.hash = i
			return plain(200, alg.name), nil
		}
	}
	return reply{}, refuse("reply.opts.hash", strings.Join(s.srv.algorithmNames(), ", "))
}

// lang is LANG (RFC 2640 §4): without an argument, back to the server's own.
func lang(s *session, _ context.Context, a arg) (reply, error) {
	chosen := s.cfg.Lang
	if a.text != "" {
		var ok bool
		if chosen, ok = catalog.ParseLang(a.text); !ok {
			return reply{}, refuse("reply.lang.unknown", languages(s.control.lang))
		}
	}
	s.control.lang = chosen
	return say("reply.lang"), nil
}

// clnt is CLNT, by which some clients say their name.
func clnt(*session, context.Context, arg) (reply, error) { return say("reply.clnt"), nil }

// csid is CSID (draft-peterson-ftp-csid): each side says what it is, and
// nothing is granted for it.
func csid(s *session, _ context.Context, _ arg) (reply, error) {
	return plain(200, "Name=ftps; Version="+s.srv.cfg.Version+"; OS=Unix; CaseSensitive=1; DirSep=/;"), nil
}

// pret is PRET, which some clients send so that a cluster may choose a node.
func pret(*session, context.Context, arg) (reply, error) { return say("reply.clnt"), nil }

// syst is SYST (RFC 959 §4.1.3): clients choose their LIST parser by it.
func syst(*session, context.Context, arg) (reply, error) { return plain(215, "UNIX Type: L8"), nil }

// noop is NOOP.
func noop(*session, context.Context, arg) (reply, error) { return say("reply.noop"), nil }

// maxStat is how many entries STAT of a folder shows: the control connection
// is not meant for more.
const maxStat = 1000

// stat is STAT (RFC 959 §4.1.3): of the session, of the transfer in
// progress, or of a path.
func stat(s *session, ctx context.Context, a arg) (reply, error) {
	if a.text == "" {
		return s.statSession(), nil
	}
	if s.login.account.Perm&vfs.List == 0 {
		return reply{}, refuse("reply.noright", "STAT")
	}
	name, info, err := s.listTarget(ctx, a.text)
	if err != nil {
		return reply{}, err
	}
	code := 213
	lines := []string{name.String()}
	add := func(i vfs.Info) {
		if !forges(i.Name) {
			lines = append(lines, " "+string(ftp.AppendUnixLine(nil, entry(i, s.login.account.Perm), s.started)))
		}
	}
	if info.Type == vfs.TypeDir {
		code = 212
		for i, err := range s.login.account.FS.List(ctx, name) {
			if err != nil {
				return reply{}, err
			}
			if len(lines) > maxStat {
				return reply{}, refuse("reply.stat.large")
			}
			add(i)
		}
	} else {
		add(info)
	}
	return plain(code, append(lines, "End")...), nil
}

func (s *session) statSession() reply {
	state := s.seen.Load()
	text := catalog.Text(s.control.lang, "reply.stat", s.info.Remote, s.info.User, state.TLS, s.folder)
	lines := splitLines(text)
	if t := s.transfer; t != nil {
		lines = append(lines, catalog.Text(s.control.lang, "reply.stat.transfer", t.verb, t.name, t.bytes.Load()))
	}
	for i := 1; i < len(lines); i++ {
		lines[i] = " " + lines[i] // no line of a reply may begin as its last one does
	}
	return plain(211, append(lines, "End")...)
}

// help is HELP (RFC 959 §4.1.3), read from the table.
func help(s *session, _ context.Context, a arg) (reply, error) {
	if verb := strings.ToUpper(strings.TrimSpace(a.text)); verb != "" {
		r, ok := s.srv.table[verb]
		if !ok {
			return reply{}, refuse("reply.help.unknown")
		}
		syntax := strings.ReplaceAll(r.syntax, "<SP> ", "")
		return plain(214, strings.TrimSpace(r.verb+" "+syntax)+" - "+catalog.Text(s.control.lang, r.help)), nil
	}
	lines := []string{catalog.Text(s.control.lang, "reply.help")}
	var row strings.Builder
	for i, c := range Commands() {
		fmt.Fprintf(&row, " %-4s", c.Verb)
		if i%10 == 9 {
			lines = append(lines, row.String())
			row.Reset()
		}
	}
	if row.Len() > 0 {
		lines = append(lines, row.String())
	}
	return plain(214, append(lines, "End")...), nil
}
