package ftpclient

import (
	"context"
	"net"
	"net/netip"

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
	raw = layer.Direct(raw)
	c := &Conn{cfg: cfg, raw: raw, wire: layer.StrictEOF(raw), guards: guards{layer.StrictEOF, layer.End, true}}
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
		// RFC 2640 §4.1. A server that lacks the language keeps its own; §4.3:
		// the one in force has a star in FEAT.
		if now, _ := inForce(c.features.Param("LANG"), lang); !now {
			if _, err := c.command(ctx, "LANG", lang); err != nil {
				return err
			}
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
