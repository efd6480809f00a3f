package ftpserver

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"

	"ftps/pkg/dataport"
	"ftps/pkg/event"
	"ftps/pkg/ftp"
	"ftps/pkg/layer"
	"ftps/pkg/vfs"
)

// maxNonsense is how many lines in a row may make no sense before the
// connection is closed.
const maxNonsense = 20

// maxRefused is how many commands may be refused before somebody has logged
// in. Each is a line in the log, and whoever is nobody yet must not fill it.
const maxRefused = 100

// arg is what stood behind a verb, read as its row says.
type arg struct {
	text   string
	path   vfs.Name
	number int64
}

// hear handles one line from the client.
func (s *session) hear(ctx context.Context, l line) {
	switch {
	case errors.Is(l.err, ftp.ErrLineEndless):
		// There is no next line to go on from.
		s.stopTransfer(errControlLost)
		s.reply(ctx, "", reply{}, refuseFor(l.err, "reply.longline"))
		s.end(l.err)
		return
	case errors.Is(l.err, ftp.ErrLineTooLong):
		s.outOfStep()
		s.refuseLine(ctx, refuseFor(l.err, "reply.longline"))
		return
	case l.err != nil:
		// A line that ends with the connection is no command.
		s.stopTransfer(errControlLost)
		s.end(l.err)
		return
	}
	cmd, err := ftp.ParseCommand(l.text)
	if err != nil {
		s.outOfStep()
	}
	switch {
	case errors.Is(err, ftp.ErrBadVerb), errors.Is(err, ftp.ErrEmptyCommand):
		s.refuseLine(ctx, refuseFor(err, "reply.unknown"))
		return
	case err != nil:
		s.refuseLine(ctx, refuseFor(err, "reply.syntax"))
		return
	}
	if slices.Contains(foreign, cmd.Verb) {
		s.showOut()
		return
	}
	r, known := s.srv.table[cmd.Verb]
	if !known {
		s.refuseLine(ctx, refuse("reply.unknown"))
		return
	}
	if s.transfer != nil && r.timing != urgent {
		s.control.held = &line{text: slices.Clone(l.text)}
		return
	}
	s.control.bad = 0
	if s.login.account == nil && s.control.refused >= s.srv.most.refused {
		s.showOut()
		return
	}
	s.run(ctx, r, cmd.Arg)
	s.publish(r.verb)
}

// refuseLine answers a line that is no command; the last of too many in a
// row with the end of the session instead.
func (s *session) refuseLine(ctx context.Context, err error) {
	s.control.bad++
	if s.control.bad >= maxNonsense {
		s.showOut()
		return
	}
	s.reply(ctx, "", reply{}, err)
}

// showOut ends a session that does not speak FTP. A transfer in progress has
// its verdict first: nothing follows a 421.
func (s *session) showOut() {
	s.stopTransfer(errControlLost)
	s.send(say("reply.foreign"))
	s.end(ErrForeign)
}

// run does one command of the table.
func (s *session) run(ctx context.Context, r *row, text string) {
	if r.begin != nil && r.perm&(vfs.Write|vfs.Append) != 0 {
		defer func() { s.coming = coming{} }() // also where it is refused: the next file is another
	}
	err := s.check(r)
	var a arg
	if err == nil {
		a, err = s.readArg(r, text)
	}
	if r.begin == nil && err != nil {
		s.reply(ctx, r.verb, reply{}, err)
		return
	}
	if r.begin == nil {
		s.data.Heard()
		if r.verb != "RNTO" && r.timing != urgent {
			s.once.rename = nil // RFC 959 §4.1.3: RNTO follows RNFR immediately
		}
		var out reply
		err := s.aside(ctx, r, func(ctx context.Context) (err error) {
			out, err = r.do(s, ctx, a)
			return err
		})
		s.reply(ctx, r.verb, out, err)
		return
	}
	var t *transfer
	if err == nil {
		err = s.aside(ctx, r, func(ctx context.Context) (err error) {
			t, err = s.prepare(ctx, r, a)
			return err
		})
	}
	if err != nil {
		s.turnDown(ctx, r, text, err)
		return
	}
	s.once = freshOneShots()
	s.start(ctx, t)
}

// aside runs what a command does. One that may take long runs beside the
// session, which meanwhile waits for it, for somebody who wants it gone, and
// for the client's next line: ABOR and a connection that ends stop the work;
// any other line is heard when its turn comes. Nobody else touches the
// session's state.
//
// A brief one is first done with a context that is over, which leaves nothing
// to wait for: of a hundred PASV, as a rule, all find a port free.
func (s *session) aside(ctx context.Context, r *row, work func(ctx context.Context) error) (err error) {
	if r.timing == brief {
		err := guard(func() error { return work(s.srv.over) })
		if !errors.Is(err, dataport.ErrBusy) {
			return err
		}
	} else if r.timing != lengthy {
		return guard(func() error { return work(ctx) })
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		layer.Deepen()
		err = guard(func() error { return work(ctx) })
	}()
	// Most such work takes no time after all, and to listen meanwhile would
	// cost more than the work.
	runtime.Gosched()
	select {
	case <-done:
		return err
	default:
	}
	s.flush()
	dismissed := func(f farewell) {
		if !f.wait {
			cancel(errKicked)
		}
		<-done
		s.leave(f)
	}
	var next <-chan line
	if s.control.held == nil {
		s.control.lines.ask()
		next = s.control.lines.out
	}
	select {
	case <-done:
	case f := <-s.exit:
		dismissed(f)
	case l := <-next:
		s.control.lines.heard()
		s.trace(l)
		s.control.held = &line{text: slices.Clone(l.text), err: l.err}
		switch {
		case l.err != nil && !errors.Is(l.err, ftp.ErrLineTooLong):
			cancel(errControlLost)
		case isAbort(l.text):
			cancel(errAborted)
		}
		select {
		case <-done:
		case f := <-s.exit:
			dismissed(f)
		}
	}
	return err
}

// urgent reports whether a line is heard while a transfer runs.
func (s *session) urgent(l *line) bool {
	if l.err != nil {
		return true
	}
	cmd, err := ftp.ParseCommand(l.text)
	r := s.srv.table[cmd.Verb]
	return err != nil || r == nil || r.timing == urgent
}

// isAbort reports whether a line is ABOR.
func isAbort(text []byte) bool {
	cmd, err := ftp.ParseCommand(text)
	return err == nil && cmd.Verb == "ABOR"
}

// check holds a command against its needs, in the order in which a client
// can mend them.
func (s *session) check(r *row) error {
	switch {
	case r.need&needTLS != 0 && s.control.tls == nil:
		return refuse("reply.needtls")
	case r.need&needLogin != 0 && s.login.account == nil:
		return refuse("reply.needlogin")
	case r.need&needProtected != 0 && !s.protect.prot:
		return refuse("reply.needprot") // RFC 4217 §10.2: before any 1yz
	case r.perm != 0 && s.login.account.Perm&r.perm == 0:
		return refuse("reply.noright", r.verb)
	}
	return nil
}

// readArg reads what stands behind the verb.
func (s *session) readArg(r *row, text string) (arg, error) {
	a := arg{text: text}
	var err error
	switch r.arg {
	case argNone:
		if strings.TrimSpace(text) != "" {
			return a, refuse("reply.noarg", r.verb)
		}
	case argText:
		if text == "" {
			return a, needArg(r.verb, r.syntax)
		}
	case argPath:
		if text == "" {
			return a, needArg(r.verb, r.syntax)
		}
		a.path, err = vfs.Resolve(s.folder, text)
	case argFolder:
		a.path, err = vfs.Resolve(s.folder, text)
	case argNumber:
		a.number, err = ftp.ParseNumber(text)
		if err != nil {
			err = refuseFor(err, "reply.number", r.verb)
		}
	}
	return a, err
}

// needArg refuses a command that came without its argument.
func needArg(verb, syntax string) error {
	return refuse("reply.needarg", verb, verb+strings.ReplaceAll(syntax, "<SP>", ""))
}

// reply sends the one final reply of a command, and tells the sink of what
// was refused.
func (s *session) reply(ctx context.Context, verb string, out reply, err error) {
	if err != nil {
		out = answer(err)
	}
	if out.Code() >= 400 {
		if s.login.account == nil {
			s.control.refused++
		}
		s.emit(event.CommandRefused{Session: s.info, Verb: verb, Code: out.Code(), Cause: err})
	}
	s.send(out)
	if out.then == nil || s.over {
		return
	}
	s.flush()
	if err := out.then(ctx); err != nil {
		s.end(err)
	}
}

// never is the handler of a verb that is known and always refused.
func never(key string) handler {
	return func(*session, context.Context, arg) (reply, error) { return reply{}, refuse(key) }
}
