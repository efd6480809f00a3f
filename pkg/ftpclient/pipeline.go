package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/layer"
)

// Pipeline sends commands ahead of their replies and moves files over one
// data connection that stays open, so that a small file costs no round trip
// of its own.
//
// Commands are sent with Send; what they are answered with is taken in the
// same order, by the method that fits the verb: [Pipeline.Download] for
// RETR, [Pipeline.List] for MLSD, [Pipeline.Upload] for STOR, and
// [Pipeline.Reply] for all that need no data connection. An upload's data
// leave only after the server's 1yz: were they sent ahead and the file
// refused, the next one would get its content. [Conn.Ahead] is for servers of
// our own, which see to that.
//
// A data connection that breaks takes the commands behind it along: each is
// answered with 425. One goroutine uses a Pipeline.
type Pipeline struct {
	c    *Conn
	ctx  context.Context
	calm func() // ends the watcher that cuts when ctx ends

	unsent  []byte // command lines
	waiting []sent // commands that were sent, or are in unsent, and not taken
	sent    int    // their length
	pending int    // how many of them are in unsent
	active  bool   // the oldest has had its 1yz and not its final reply

	// Of one made by Ahead.
	ahead bool    // files go with their commands
	held  int     // bytes of files that are not answered
	files *outbox // that writes them; nil before the first
	lines *outbox // that writes the commands

	tcp     net.Conn // bare, before the first 1yz
	shaken  chan shake
	data    *kept
	over    bool
	cutting bool
}

// sent is a command that waits for its answer.
type sent struct {
	verb  string
	bytes int

	file []byte // what goes with it, as blocks
	fed  bool   // it was handed to the data connection
}

type shake struct {
	data *kept
	err  error
}

// pipelined are the verbs that may be sent ahead: they move a file, or ask
// about one.
const pipelined = " RETR STOR MLSD HASH SIZE MDTM MFMT MKD MLST DELE "

// Pipeline begins a run of pipelined commands, and holds the connection until
// Close. It is errors.ErrUnsupported where the server does not announce that
// it takes them, and in active mode.
func (c *Conn) Pipeline(ctx context.Context) (*Pipeline, error) {
	return c.pipeline(ctx, false)
}

func (c *Conn) pipeline(ctx context.Context, ahead bool) (*Pipeline, error) {
	if !c.features.Has("X-PIPELINE") || c.cfg.Active {
		return nil, errors.ErrUnsupported
	}
	if err := c.enter(); err != nil {
		return nil, err
	}
	p := &Pipeline{c: c, ctx: ctx, ahead: ahead}
	if err := p.begin(); err != nil {
		c.leave()
		return nil, err
	}
	p.watch()
	return p, nil
}

// watch cuts the data connection when the context ends: without it the server
// answers all that is in line at once. One that does not loses the control
// connection as well.
func (p *Pipeline) watch() {
	tcp := p.tcp
	if p.data != nil {
		tcp = p.data.tcp
	}
	ran := make(chan struct{})
	stop := context.AfterFunc(p.ctx, func() {
		cut(tcp, true)
		p.c.wire.SetDeadline(time.Now().Add(min(abortTimeout, p.c.cfg.Timeout)))
		close(ran)
	})
	p.calm = func() {
		if !stop() {
			<-ran
			p.drop()
		}
	}
}

// begin brings the server to where files can move, in one round trip and with
// those commands alone that are still needed.
func (p *Pipeline) begin() error {
	c := p.c
	asks := c.askAhead(p.ahead)
	if !c.binary {
		asks = append(asks, ask{"TYPE", "I", func(r ftp.Reply) error { return c.isBinary(r) }})
	}
	if facts := c.wantedFacts(); facts != "" {
		asks = append(asks, ask{"OPTS", "MLST " + facts, nil})
	}
	if c.mode != 'B' {
		c.dropKept()
		asks = append(asks, ask{"MODE", "B", func(r ftp.Reply) error { return c.isMode('B', r) }})
	}
	p.data = c.kept.Swap(nil)
	var port ftp.Reply
	if p.data == nil && !c.noEPSV {
		asks = append(asks, ask{"EPSV", "", func(r ftp.Reply) error { port = r; return nil }})
	}
	err := c.together(p.ctx, asks)
	switch {
	case err != nil:
		p.drop()
	case p.data == nil && !c.noEPSV:
		p.tcp, err = c.byEPSV(p.ctx, port)
	case p.data == nil:
		p.tcp, err = c.byPASV(p.ctx, nil)
	}
	return err
}

const (
	// maxAhead and maxAheadBytes bound what is sent ahead: it lies in the
	// buffers of both ends, and neither may have to wait for the other.
	maxAhead      = 512
	maxAheadBytes = 16 << 10
)

// Room reports whether another command may be sent before a reply is taken.
func (p *Pipeline) Room() bool {
	return len(p.waiting) < maxAhead && p.sent < maxAheadBytes && p.held < maxAheadData
}

// Send puts a command in line.
func (p *Pipeline) Send(verb, arg string) error {
	if err := checkPath(arg); err != nil {
		return err
	}
	if !contains(pipelined, verb) || p.ahead && verb == "STOR" {
		return ErrLineRefused // without its file the server would wait for it
	}
	return p.enqueue(verb, arg)
}

// SendStore puts STOR in line, and before it the file's time where the server
// takes that; [Departure.Dated] says whether it did.
func (p *Pipeline) SendStore(path string, modTime time.Time) error {
	if p.ahead {
		return errors.ErrUnsupported
	}
	return p.dated(path, modTime)
}

func (p *Pipeline) dated(path string, modTime time.Time) error {
	if err := checkPath(path); err != nil {
		return err // before the time is in line, which would be the next one's
	}
	if told := p.c.storModTime(modTime); told != "" {
		if err := p.enqueue("OPTS", told); err != nil {
			return err
		}
	}
	return p.enqueue("STOR", path)
}

func (p *Pipeline) enqueue(verb, arg string) error {
	line, err := ftp.Command{Verb: verb, Arg: arg}.AppendTo(p.unsent)
	if err != nil {
		return &NameError{Name: arg}
	}
	if p.c.cfg.Trace != nil {
		p.c.cfg.Trace(true, verb+" "+arg)
	}
	n := len(line) - len(p.unsent)
	p.unsent = line
	p.waiting = append(p.waiting, sent{verb: verb, bytes: n})
	p.sent += n
	p.pending++
	return nil
}

// flush sends the commands in line, in one write.
func (p *Pipeline) flush() error {
	if len(p.unsent) == 0 {
		return nil
	}
	if p.over || p.cutting {
		return ErrClosed
	}
	if err := p.ctx.Err(); err != nil {
		return err
	}
	p.deadline(p.c.cfg.Timeout)
	if p.ahead {
		if p.lines == nil {
			p.lines = newOutbox(p.ctx, p.c.wire)
			p.lines.failed = func() { p.c.Close() }
			go p.lines.run()
		}
		p.lines.put(p.unsent)
		p.unsent, p.pending = nil, 0
		p.feed()
		return nil
	}
	_, err := p.c.wire.Write(p.unsent)
	p.unsent, p.pending = p.unsent[:0], 0
	if err != nil {
		p.c.Close()
		return controlError(p.waiting[0].verb, err)
	}
	return nil
}

// deadline bounds what comes next on the control connection. Once the
// context has ended there is a shorter one, which must stand.
func (p *Pipeline) deadline(d time.Duration) {
	if p.ctx.Err() == nil {
		p.c.wire.SetDeadline(time.Now().Add(d))
		if p.ctx.Err() != nil {
			p.c.wire.SetDeadline(time.Now().Add(min(abortTimeout, p.c.cfg.Timeout)))
		}
	}
}

// read reads one reply.
func (p *Pipeline) read(verb string, d time.Duration) (ftp.Reply, error) {
	p.deadline(d)
	r, err := p.c.readReply(verb)
	if err != nil {
		p.c.Close()
		if p.ctx.Err() != nil {
			err = p.ctx.Err()
		}
		return r, err
	}
	p.c.show(r)
	if r.Code == 421 {
		p.c.Close()
	}
	return r, nil
}

// take begins to take the answer to the oldest command in line.
func (p *Pipeline) take(verb string) error {
	switch {
	case p.over:
		return ErrClosed
	case p.active:
		return ErrInUse
	case len(p.waiting) == 0 || verb != "" && p.waiting[0].verb != verb:
		return fmt.Errorf("ftpclient: %s is not what was sent first", verb)
	case verb == "" && contains(" RETR STOR MLSD ", p.waiting[0].verb):
		return fmt.Errorf("ftpclient: %s has a data connection", p.waiting[0].verb)
	}
	return p.flush()
}

// taken ends what take began.
func (p *Pipeline) taken() {
	p.sent -= p.waiting[0].bytes
	p.held -= len(p.waiting[0].file)
	p.waiting = p.waiting[1:]
	p.active = false
}

// Reply takes the final reply, whatever its code, of a command without a
// data connection.
func (p *Pipeline) Reply() (ftp.Reply, error) {
	if err := p.take(""); err != nil {
		return ftp.Reply{}, err
	}
	verb := p.waiting[0].verb
	p.taken()
	for range maxPreliminary {
		r, err := p.read(verb, max(p.c.cfg.Timeout, p.c.cfg.FinalTimeout))
		if err != nil || r.Code >= 200 {
			return r, err
		}
	}
	p.c.Close()
	return ftp.Reply{}, &ProtocolError{Command: verb, Err: errPreliminary}
}

// open takes the 1yz of a transfer and returns the data connection, with a
// deadline of its own for this file.
func (p *Pipeline) open(verb string) (net.Conn, error) {
	if err := p.begun(verb); err != nil {
		return nil, err
	}
	return layer.Stall(p.data.tc, p.c.cfg.Timeout), nil
}

// begun takes the 1yz of a transfer. Then there is a data connection.
func (p *Pipeline) begun(verb string) error {
	if err := p.take(verb); err != nil {
		return err
	}
	if p.data == nil && p.tcp != nil && p.shaken == nil {
		p.shake()
	}
	patience := p.c.cfg.Timeout
	if p.ahead {
		patience = max(patience, p.c.cfg.FinalTimeout) // a refusal comes behind the file
	}
	r, err := p.read(verb, patience)
	switch {
	case err != nil:
		p.taken()
		return err
	case r.Code >= 400:
		p.taken()
		if p.ahead && !p.stays(r.Code) {
			p.drop()
		}
		return &ReplyError{Command: verb, Reply: r}
	case r.Code >= 200:
		p.taken()
		p.c.Close() // out of step: what would its data belong to?
		return &ProtocolError{Command: verb, Err: errNoMark}
	}
	p.active = true
	if p.shaken != nil {
		s := <-p.shaken
		p.shaken, p.tcp, p.data = nil, nil, s.data
		if s.err != nil {
			return p.fail(verb, s.err)
		}
	}
	if p.data == nil {
		return p.fail(verb, ErrDataLost)
	}
	p.feed()
	return nil
}

// shake begins the data connection's handshake, which the server may answer
// only when a command has come that it agrees to.
func (p *Pipeline) shake() {
	p.shaken = make(chan shake, 1)
	go func(tcp net.Conn, shaken chan<- shake) {
		ctx, cancel := context.WithTimeout(p.ctx, p.c.cfg.Timeout)
		defer cancel()
		data, err := p.c.secureKept(ctx, tcp)
		shaken <- shake{data, err}
	}(p.tcp, p.shaken)
}

// final takes the final reply of a transfer. The connection stays open after
// 250 and nothing else (RFC 959 §4.2).
func (p *Pipeline) final(verb string) (ftp.Reply, error) {
	defer p.taken()
	for range maxPreliminary {
		r, err := p.read(verb, p.c.cfg.FinalTimeout)
		if err != nil {
			p.drop()
			return r, err
		}
		if r.Code < 200 {
			continue
		}
		if !p.stays(r.Code) {
			p.drop()
		}
		if r.Code/100 != 2 {
			return r, &ReplyError{Command: verb, Reply: r}
		}
		return r, nil
	}
	p.c.Close()
	return ftp.Reply{}, &ProtocolError{Command: verb, Err: errPreliminary}
}

// drop cuts the data connection.
func (p *Pipeline) drop() {
	if p.data != nil {
		cut(p.data.tcp, true)
		p.data = nil
	}
	if p.files != nil {
		p.files.end(0)
		p.files = nil
	}
}

// fail ends a transfer after its 1yz because of err. The server mostly says
// why.
func (p *Pipeline) fail(verb string, err error) error {
	p.drop()
	_, reply := p.final(verb)
	var refused *ReplyError
	switch {
	case p.ctx.Err() != nil:
		return p.ctx.Err()
	case errors.As(reply, &refused):
		return fmt.Errorf("%w: %w", err, reply)
	}
	return err
}

// Close ends the run and gives the connection back. Commands that were sent
// and not taken are stopped and their replies read away; those not sent yet
// are forgotten.
func (p *Pipeline) Close() error {
	if p.over {
		return nil
	}
	p.waiting = p.waiting[:len(p.waiting)-p.pending]
	p.unsent, p.pending = nil, 0
	if len(p.waiting) > 0 {
		p.cutting = true
		p.drop()
		if p.tcp != nil {
			cut(p.tcp, true)
		}
		p.drain()
	}
	p.over = true
	p.settle()
	if p.shaken != nil {
		p.tcp.Close()
		if s := <-p.shaken; s.data != nil {
			s.data.tcp.Close()
		}
	} else if p.tcp != nil {
		p.tcp.Close()
	}
	p.calm()
	if p.c.Usable() {
		p.c.wire.SetDeadline(time.Time{})
		if p.data != nil {
			p.data.tc.SetDeadline(time.Time{})
			p.c.kept.Store(p.data)
			p.data = nil
		}
	}
	if !p.c.Usable() {
		p.drop()
		p.c.dropKept()
	}
	p.c.leave()
	return nil
}

// settle ends the goroutines that write. All that was sent is answered, so
// that there is nothing more to write, unless something is wrong.
func (p *Pipeline) settle() {
	if p.lines != nil {
		p.lines.end(endTimeout)
	}
	if p.files != nil {
		p.files.end(endTimeout)
		if p.files.broke {
			p.drop()
		}
	}
}

// drain reads the replies to what is in line. There is no data connection
// any more, so each comes at once.
func (p *Pipeline) drain() {
	limit := min(abortTimeout, p.c.cfg.Timeout)
	for len(p.waiting) > 0 && p.c.Usable() {
		verb := p.waiting[0].verb
		r, err := p.read(verb, limit)
		if err != nil {
			p.c.Close()
			return
		}
		if r.Code >= 200 {
			p.taken()
		}
	}
}

func contains(list, verb string) bool { return strings.Contains(list, " "+verb+" ") }
