package shell

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

// Link is a connection to a server that comes back when it is lost: dialled
// again, trusted, logged in and protected as the first one was, and led to
// the folder it was in. It is the [Server] of a session.
//
// A command that only looks is sent again over the new connection. One that
// changes something is sent again where the server has surely not run it (it
// said 421); else its failure is told: whether it was done only the person
// can find out.
//
// One goroutine uses it at a time.
type Link struct {
	Connector *Connector
	Retries   int             // how often a lost connection is made again; 0 is never
	Lost      func(err error) // told once when the connection is found lost

	conn   *ftpclient.Conn
	folder string // where cd has led, "" for the folder of the login
	used   time.Time
	gone   bool // it will not come back
}

var _ Server = (*Link)(nil)

// idle is how long a connection may have been quiet before it is asked for a
// sign of life: servers and NATs close them without one.
const idle = 30 * time.Second

// Open connects and logs in, with questions where they are needed.
func (l *Link) Open(ctx context.Context) error {
	conn, err := l.Connector.Connect(ctx)
	if err == nil {
		l.conn, l.used, l.folder, l.gone = conn, time.Now(), "", false
	}
	return err
}

// Move leaves this server for the one of another Connector, once that has let
// us in.
func (l *Link) Move(ctx context.Context, there *Connector) error {
	next := &Link{Connector: there}
	if err := next.Open(ctx); err != nil {
		return err
	}
	old := l.conn
	l.Connector, l.conn, l.used, l.folder, l.gone = there, next.conn, next.used, "", false
	return old.Close()
}

// Close ends the connection without a word.
func (l *Link) Close() {
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// Conn returns the connection, made again if it was lost.
func (l *Link) Conn(ctx context.Context) (*ftpclient.Conn, error) {
	err := error(ftpclient.ErrLost)
	if l.conn.Usable() {
		if time.Since(l.used) < idle || l.Retries == 0 {
			l.used = time.Now()
			return l.conn, nil
		}
		speak := l.Connector.Dialogue.mutely()
		err = l.conn.Noop(ctx)
		speak()
		if err == nil || ctx.Err() != nil || !l.broken(err) {
			l.used = time.Now()
			return l.conn, ctx.Err()
		}
	}
	return l.conn, l.restore(ctx, err)
}

// restore makes the connection again.
func (l *Link) restore(ctx context.Context, cause error) error {
	if l.Retries <= 0 || l.gone {
		return cause
	}
	if l.Lost != nil {
		l.Lost(cause)
	}
	var err error
	for attempt := range l.Retries {
		if attempt > 0 && ftpclient.Pause(ctx, attempt-1) != nil {
			return ctx.Err()
		}
		var conn *ftpclient.Conn
		if conn, err = l.Connector.Again(ctx); err == nil {
			if err = l.enter(ctx, conn); err == nil {
				l.conn, l.used = conn, time.Now()
				return nil
			}
			_ = conn.Close()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !ftpclient.Again(err) {
			// Who refuses the login, or shows another key, does so for good.
			class := ftpclient.Class(err)
			l.gone = class == ftpclient.LoginRefused || class == ftpclient.TLSFailed
			return err
		}
	}
	return err
}

// enter leads a new connection to the folder of the old one: the next name
// that is typed is meant there and nowhere else.
func (l *Link) enter(ctx context.Context, conn *ftpclient.Conn) error {
	if l.folder == "" {
		return nil
	}
	defer l.Connector.Dialogue.hush()()
	return conn.Cwd(ctx, l.folder)
}

// broken reports whether an error is the connection's, and makes sure that a
// server which has taken leave is not spoken to again.
func (l *Link) broken(err error) bool {
	if takenLeave(err) {
		_ = l.conn.Close()
	}
	return err != nil && !l.conn.Usable()
}

// takenLeave: 421 means that the command was not run (RFC 959 §4.2.2).
func takenLeave(err error) bool {
	var reply *ftpclient.ReplyError
	return errors.As(err, &reply) && reply.Reply.Code == 421
}

// look runs what changes nothing, again where the connection broke.
func (l *Link) look(ctx context.Context, f func(*ftpclient.Conn) error) error {
	return l.run(ctx, true, f)
}

// change runs what must not be done twice.
func (l *Link) change(ctx context.Context, f func(*ftpclient.Conn) error) error {
	return l.run(ctx, false, f)
}

func (l *Link) run(ctx context.Context, again bool, f func(*ftpclient.Conn) error) error {
	for attempt := 0; ; attempt++ {
		conn, err := l.Conn(ctx)
		if err != nil {
			return err
		}
		err = f(conn)
		if err == nil || ctx.Err() != nil || !l.broken(err) || attempt >= l.Retries {
			return err
		}
		if !again && !takenLeave(err) {
			return fault.Wrap(err, "shell.lost.unknown", err)
		}
	}
}

// Cwd implements [Server].
func (l *Link) Cwd(ctx context.Context, path string) error {
	return l.look(ctx, func(c *ftpclient.Conn) error {
		if err := c.Cwd(ctx, path); err != nil {
			return err
		}
		// Where that is only the server knows: of ".." and of symlinks.
		defer l.Connector.Dialogue.hush()()
		folder, err := c.Pwd(ctx)
		if err == nil {
			l.folder = folder
		}
		return err
	})
}

// Pwd implements [Server].
func (l *Link) Pwd(ctx context.Context) (folder string, err error) {
	err = l.look(ctx, func(c *ftpclient.Conn) error {
		folder, err = c.Pwd(ctx)
		return err
	})
	return folder, err
}

// Mkdir implements [Server].
func (l *Link) Mkdir(ctx context.Context, path string) error {
	return l.change(ctx, func(c *ftpclient.Conn) error { return c.Mkdir(ctx, path) })
}

// Rmdir implements [Server].
func (l *Link) Rmdir(ctx context.Context, path string) error {
	return l.change(ctx, func(c *ftpclient.Conn) error { return c.Rmdir(ctx, path) })
}

// Delete implements [Server].
func (l *Link) Delete(ctx context.Context, path string) error {
	return l.change(ctx, func(c *ftpclient.Conn) error { return c.Delete(ctx, path) })
}

// Rename implements [Server].
func (l *Link) Rename(ctx context.Context, from, to string) error {
	return l.change(ctx, func(c *ftpclient.Conn) error { return c.Rename(ctx, from, to) })
}

// Glance implements [Server].
func (l *Link) Glance(ctx context.Context, path string) iter.Seq2[ftp.Entry, error] {
	return l.conn.List(ctx, path)
}

// List implements [Server]. After a new beginning it goes on with the names
// that it has not yielded yet.
func (l *Link) List(ctx context.Context, path string) iter.Seq2[ftp.Entry, error] {
	return func(yield func(ftp.Entry, error) bool) {
		seen := make(map[string]bool)
		var doubts []error // about single lines, told once the listing is whole
		err := l.look(ctx, func(c *ftpclient.Conn) error {
			doubts = nil
			for e, err := range c.List(ctx, path) {
				var line *ftpclient.UnknownLineError
				var name *ftpclient.NameError
				switch {
				case errors.As(err, &line), errors.As(err, &name):
					doubts = append(doubts, err)
				case err != nil:
					return err
				case !seen[e.Name]:
					seen[e.Name] = true
					if !yield(e, nil) {
						return errLeft
					}
				}
			}
			return nil
		})
		if errors.Is(err, errLeft) {
			return
		}
		for _, doubt := range doubts {
			if !yield(ftp.Entry{}, doubt) {
				return
			}
		}
		if err != nil {
			yield(ftp.Entry{}, err)
		}
	}
}

// errLeft: the loop over a listing was left early.
var errLeft = errors.New("shell: left")

// Stat implements [Server].
func (l *Link) Stat(ctx context.Context, path string) (e ftp.Entry, err error) {
	err = l.look(ctx, func(c *ftpclient.Conn) error {
		e, err = c.Stat(ctx, path)
		return err
	})
	return e, err
}

// Chmod implements [Server]. Twice is as good as once.
func (l *Link) Chmod(ctx context.Context, path string, mode fs.FileMode) error {
	return l.look(ctx, func(c *ftpclient.Conn) error { return c.Chmod(ctx, path, mode) })
}

// Touch implements [Server]: nothing put at the end of a file makes it where
// it is missing and changes no byte where it is not, and the time is set.
func (l *Link) Touch(ctx context.Context, path string, at time.Time) error {
	return l.look(ctx, func(c *ftpclient.Conn) error {
		if _, err := c.Stat(ctx, path); err != nil {
			if ftpclient.Class(err) != ftpclient.NotFound {
				return err
			}
			u, err := c.Store(ctx, path, ftpclient.StoreOptions{Append: true})
			if err != nil {
				return err
			}
			return u.Close()
		}
		return c.SetModTime(ctx, path, at)
	})
}

// HashMethod implements [Server].
func (l *Link) HashMethod() (ftpclient.HashMethod, bool) { return l.conn.HashMethod() }

// SumOf implements [Server].
func (l *Link) SumOf(ctx context.Context, m ftpclient.HashMethod, path string, n, size int64) (sum []byte, err error) {
	err = l.look(ctx, func(c *ftpclient.Conn) error {
		sum, err = c.SumOf(ctx, m, path, n, size)
		return err
	})
	return sum, err
}

// Quote implements [Server].
func (l *Link) Quote(ctx context.Context, line string) (reply ftp.Reply, err error) {
	err = l.change(ctx, func(c *ftpclient.Conn) error {
		reply, err = c.Quote(ctx, line)
		if err == nil && reply.Code == 421 {
			err = &ftpclient.ReplyError{Command: line, Reply: reply}
		}
		return err
	})
	return reply, err
}

// Quit implements [Server]. Nobody is called back to hear a farewell.
func (l *Link) Quit(ctx context.Context) error {
	if l.gone = true; !l.conn.Usable() {
		return nil
	}
	return l.conn.Quit(ctx)
}

// TLS implements [Server].
func (l *Link) TLS() tls.ConnectionState { return l.conn.TLS() }

// Usable implements [Server].
func (l *Link) Usable() bool { return l.conn.Usable() }

// Gone implements [Server].
func (l *Link) Gone() bool { return !l.conn.Usable() && (l.Retries <= 0 || l.gone) }

// Lost tells in one line that a connection is lost and made again.
func (s *Session) Lost(err error) {
	if s.JSON {
		writeJSON(s.Out, struct {
			Event   string `json:"event"`
			Message string `json:"message"`
		}{"reconnecting", explainLine(s, err)})
		return
	}
	fmt.Fprintln(s.Err, "ftps: "+s.text("shell.lost.again", s.Host, explainLine(s, err)))
}
