package ftpclient

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"ftps/pkg/ftp"
	"ftps/pkg/layer"
)

// replyLimits bounds what one reply may cost.
var replyLimits = ftp.ReplyLimits{MaxLine: 8 << 10, MaxLines: 1024}

func (c *Conn) newLines() { c.lines = ftp.NewLineReader(c.wire, replyLimits.MaxLine) }

// Dial connects, secures the connection and asks for the server's features:
// greeting, AUTH TLS, PBSZ 0, PROT P, FEAT, LANG, OPTS UTF8 ON.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	cfg = cfg.withDefaults()
	raw, err := dialTCP(ctx, cfg)
	if err != nil {
		return nil, err
	}
	c := &Conn{cfg: cfg, raw: raw, wire: layer.StrictEOF(raw)}
	c.newLines()
	if a, err := netip.ParseAddrPort(raw.RemoteAddr().String()); err == nil {
		c.remote = a.Addr().Unmap()
	}
	if err := c.begin(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func dialTCP(ctx context.Context, cfg Config) (net.Conn, error) {
	dialCtx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	raw, err := cfg.DialContext(dialCtx, "tcp", cfg.Address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &ConnectError{Address: cfg.Address, Err: err}
	}
	return raw, nil
}

// begin is the dialogue up to the point where the user's name comes.
func (c *Conn) begin(ctx context.Context) error {
	if c.cfg.Implicit {
		if err := c.secure(ctx); err != nil {
			return err
		}
	}
	if err := c.greet(ctx); err != nil {
		return err
	}
	if !c.cfg.Implicit {
		if err := c.auth(ctx); err != nil {
			return err
		}
	}
	if err := c.protect(ctx, false); err != nil {
		return err
	}
	if err := c.askFeatures(ctx); err != nil {
		return err
	}
	if lang := c.cfg.Lang; lang != "" && c.features.Has("LANG") {
		// RFC 2640 §4.1. A server that lacks the language keeps its own.
		if _, err := c.command(ctx, "LANG", lang); err != nil {
			return err
		}
	}
	if c.features.Has("UTF8") {
		// RFC 2640 has no need of it; servers older than it do.
		if _, err := c.command(ctx, "OPTS", "UTF8 ON"); err != nil {
			return err
		}
	}
	return nil
}

// greet reads the server's first reply. RFC 959 §5.4: 120 announces a wait,
// 220 is the greeting, 421 a refusal.
func (c *Conn) greet(ctx context.Context) error {
	done := c.within(ctx, c.cfg.Timeout)
	r, err := c.final("")
	if err = done(err); err != nil {
		return err
	}
	if r.Code/100 != 2 {
		return &ReplyError{Reply: r}
	}
	c.greeting = r
	return nil
}

// auth is RFC 4217 §4. A server that has no TLS is not talked to.
func (c *Conn) auth(ctx context.Context) error {
	r, err := c.command(ctx, "AUTH", "TLS")
	if err != nil {
		return err
	}
	if r.Code != 234 {
		return &TLSError{Err: &ReplyError{Command: "AUTH", Reply: r}}
	}
	if c.lines.Buffered() > 0 {
		// Whoever put bytes behind the 234 wants them taken for what the
		// server says under TLS.
		return ErrInjected
	}
	return c.secure(ctx)
}

// protect asks for encrypted data connections (RFC 2228 §3, RFC 4217 §8,
// §9). Some old servers want the login first; they are asked again after it.
func (c *Conn) protect(ctx context.Context, loggedIn bool) error {
	if c.protected {
		return nil
	}
	for _, step := range [][2]string{{"PBSZ", "0"}, {"PROT", "P"}} {
		r, err := c.command(ctx, step[0], step[1])
		if err != nil {
			return err
		}
		if (r.Code == 530 || r.Code == 503) && !loggedIn {
			return nil
		}
		if r.Code/100 != 2 {
			return &TLSError{Err: &ReplyError{Command: step[0], Reply: r}}
		}
	}
	c.protected = true
	return nil
}

// askFeatures sends FEAT. RFC 2389 §3: each feature's line begins with a
// space; a server without the command has none.
func (c *Conn) askFeatures(ctx context.Context) error {
	r, err := c.command(ctx, "FEAT", "")
	if err != nil {
		return err
	}
	c.features = Features{}
	if r.Code == 211 && len(r.Lines) > 2 {
		c.features = parseFeatures(r.Lines[1 : len(r.Lines)-1])
	}
	return nil
}

func parseFeatures(lines []string) Features {
	f := Features{lines: make(map[string]string)}
	for _, line := range lines {
		name, param, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" {
			continue
		}
		name = strings.ToUpper(name)
		if earlier := f.lines[name]; earlier != "" {
			// AUTH TLS and AUTH SSL come as two lines.
			param = earlier + ";" + param
		}
		f.lines[name] = param
	}
	return f
}
