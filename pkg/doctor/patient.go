package doctor

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/pki"
)

// patient is the server under examination, and what is known of it.
type patient struct {
	o    Options
	step time.Duration
	has  map[stage]bool

	first net.Conn // made by the step tcp, used up by the first dial
	seen  *sight   // of the first connection
	began error    // why it did not come as far as the login
	conn  *ftpclient.Conn
	mends int   // connections made because one was lost
	gone  error // why there is no other

	links   int                 // data connections that stood
	link    tls.ConnectionState // the latest
	ports   error               // why no data port can be reached; nil if one can
	listing error               // how the listing of the step data ended
	sample  *sample

	prefix string   // of the names of its files
	made   []string // files that may lie on the server
}

// maxMends bounds the connections that take the place of lost ones.
const maxMends = 8

func newPatient(o Options) *patient {
	if o.Most == 0 {
		o.Most = 10
	}
	if o.Config.Timeout <= 0 {
		o.Config.Timeout = 30 * time.Second
	}
	if o.Config.DialContext == nil {
		o.Config.DialContext = (&net.Dialer{}).DialContext
	}
	if o.Lookup == nil {
		o.Lookup = net.DefaultResolver.LookupNetIP
	}
	o.Config.FinalTimeout = o.Config.Timeout
	random := make([]byte, 6)
	rand.Read(random)
	return &patient{o: o, step: 3 * o.Config.Timeout, has: make(map[stage]bool),
		seen: &sight{}, prefix: "ftps-doctor-" + hex.EncodeToString(random)}
}

// sight is what was seen of one connection on its way.
type sight struct {
	greeting *ftp.Reply
	verb     string // the latest command
	auth     *ftp.Reply
	state    *tls.ConnectionState
	refused  error // by trust
}

// shake notes the certificate, whatever is then thought of it.
func (s *sight) shake(then func(tls.ConnectionState) error) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		s.state = &state
		if then != nil {
			s.refused = then(state)
		}
		return s.refused
	}
}

// dial makes one connection up to the login. change alters how.
func (p *patient) dial(ctx context.Context, s *sight, change func(*ftpclient.Config)) (*ftpclient.Conn, error) {
	cfg := p.o.Config
	cfg.TLS = p.o.Trust.ClientConfig(p.o.Base)
	cfg.TLS.VerifyConnection = s.shake(cfg.TLS.VerifyConnection)
	cfg.OnData = func(_ string, state tls.ConnectionState) { p.links, p.link = p.links+1, state }
	cfg.Trace = func(sent bool, line string) {
		if sent {
			s.verb, _, _ = strings.Cut(line, " ")
		}
		if p.o.Config.Trace != nil {
			p.o.Config.Trace(sent, line)
		}
	}
	cfg.OnReply = func(r ftp.Reply) {
		switch {
		case s.verb == "" && s.greeting == nil && r.Code >= 200:
			s.greeting = &r
		case s.verb == "AUTH":
			s.auth = &r
		}
		if p.o.Config.OnReply != nil {
			p.o.Config.OnReply(r)
		}
	}
	cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if c := p.first; c != nil {
			p.first = nil
			return c, nil
		}
		return p.o.Config.DialContext(ctx, network, address)
	}
	if change != nil {
		change(&cfg)
	}
	return ftpclient.Dial(ctx, cfg)
}

// ready returns the connection, or one in its place where it was lost.
func (p *patient) ready(ctx context.Context) (*ftpclient.Conn, error) {
	if p.conn != nil && p.conn.Usable() {
		return p.conn, nil
	}
	if p.mends++; p.gone == nil && p.mends > maxMends {
		p.gone = ftpclient.ErrLost
	}
	if p.gone != nil {
		return nil, p.gone
	}
	err := patiently(ctx, func() (err error) {
		p.conn, err = p.another(ctx, nil)
		return err
	})
	if err != nil && ctx.Err() == nil {
		p.gone = err
	}
	return p.conn, err
}

// another makes a further connection and logs it in.
func (p *patient) another(ctx context.Context, change func(*ftpclient.Config)) (*ftpclient.Conn, error) {
	c, err := p.dial(ctx, &sight{}, change)
	if err != nil {
		return nil, err
	}
	if err := p.enter(ctx, c, p.o.Again); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (p *patient) enter(ctx context.Context, c *ftpclient.Conn, login func(context.Context, *ftpclient.Conn) error) error {
	if err := login(ctx, c); err != nil {
		return err
	}
	if p.o.Folder != "" {
		return c.Cwd(ctx, p.o.Folder)
	}
	return nil
}

// The waits between attempts to get a connection that a server has granted
// before: it may take a moment to see that the last one is gone.
const (
	roomAttempts = 7
	roomWait     = 50 * time.Millisecond
)

// patiently tries again where the server is full.
func patiently(ctx context.Context, dial func() error) error {
	err := dial()
	for wait := roomWait; err != nil && full(err) && wait < roomWait<<roomAttempts; wait *= 2 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
		err = dial()
	}
	return err
}

// alone runs dial, and where the server has no room for a second connection
// gives up the first one for it. A server that never took one is not waited
// for.
func (p *patient) alone(ctx context.Context, dial func() error) error {
	err := dial()
	if err == nil || !full(err) || p.seen.greeting == nil || p.seen.greeting.Code/100 != 2 {
		return err
	}
	p.hangUp(ctx)
	return patiently(ctx, dial)
}

// full reports whether a server turned a connection away, as it does with one
// too many.
func full(err error) bool {
	var reply *ftpclient.ReplyError
	if errors.As(err, &reply) {
		return reply.Reply.Code == 421 || reply.Reply.Code == 530
	}
	return errors.Is(err, ftpclient.ErrConnect) || errors.Is(err, ftpclient.ErrLost)
}

func (p *patient) hangUp(ctx context.Context) {
	if p.conn != nil {
		_ = p.conn.Quit(ctx)
		p.conn.Close()
		p.conn = nil
	}
}

const leaveTimeout = 10 * time.Second

// leave takes away what may still lie on the server, and hangs up. It does so
// even where ctx has ended, for a moment: somebody may be waiting for the end.
func (p *patient) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(p.step, leaveTimeout))
	defer cancel()
	if len(p.made) > 0 {
		p.sweep(ctx)
	}
	p.hangUp(ctx)
	if p.first != nil {
		p.first.Close()
	}
}

// leaf is the certificate that the server showed.
func (p *patient) leaf() *x509.Certificate { return p.seen.state.PeerCertificates[0] }

// pin is its key's.
func (p *patient) pin() string { return pki.PinOf(p.leaf()).String() }

// printable is a reply that may be shown.
func printable(r ftp.Reply) string { return ftpclient.Printable(r.Text()) }
