package ftpserver

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

// The oracle of the fuzz targets is shown a server with one mistake at a time.
func TestTheOracleSeesMistakes(t *testing.T) {
	good := func(*session, context.Context, arg) (reply, error) { return say("reply.noop"), nil }
	for _, c := range []struct {
		mistake string
		lines   string
		how     uint16
		spoil   func(r *row)
		want    string
	}{
		{"none", "NOOP\r\nRETR file.txt\r\n", howConnects, func(*row) {}, ""},
		{"a second reply", "NOOP\r\nPWD\r\n", 0, func(r *row) {
			r.do = func(s *session, ctx context.Context, a arg) (reply, error) {
				s.send(say("reply.noop"))
				return good(s, ctx, a)
			}
		}, "final replies"},
		{"a preliminary reply", "NOOP\r\n", 0, func(r *row) {
			r.do = func(s *session, ctx context.Context, a arg) (reply, error) {
				s.send(say("reply.opening"))
				return good(s, ctx, a)
			}
		}, "answered by 150"},
		{"a line break in a reply", "NOOP\r\n", 0, func(r *row) {
			r.do = func(s *session, ctx context.Context, a arg) (reply, error) {
				io.WriteString(s.control.conn, "200 one\n200 two\r\n")
				return good(s, ctx, a)
			}
		}, "not a line of a reply"},
		{"a panic", "NOOP\r\n", 0, func(r *row) {
			r.do = func(*session, context.Context, arg) (reply, error) { panic("a mistake") }
		}, "panic: a mistake"},
		{"an unknown error", "NOOP\r\n", 0, func(r *row) {
			r.do = func(*session, context.Context, arg) (reply, error) { return reply{}, io.ErrNoProgress }
		}, "does not know"},
		{"a right that is not asked for", "NOOP\r\n", howPerm0, func(r *row) {
			r.do = func(s *session, ctx context.Context, _ arg) (reply, error) {
				return dele(s, ctx, arg{path: s.folder.Child("file.txt")})
			}
		}, "may only read"},
		{"a path that climbs out", "NOOP\r\n", 0, func(r *row) {
			r.do = func(s *session, ctx context.Context, _ arg) (reply, error) {
				return dele(s, ctx, arg{path: s.folder.Child("..")})
			}
		}, "was asked for"},
		{"a file left open", "NOOP\r\n", 0, func(r *row) {
			r.do = func(s *session, ctx context.Context, a arg) (reply, error) {
				s.login.account.FS.Open(ctx, s.folder.Child("file.txt"))
				return good(s, ctx, a)
			}
		}, "were not closed"},
		{"a session that ends for no reason", "NOOP\r\nPWD\r\n", 0, func(r *row) {
			r.do = func(s *session, ctx context.Context, a arg) (reply, error) {
				s.end(errControlLost)
				return good(s, ctx, a)
			}
		}, "the session ended with"},
	} {
		t.Run(strings.ReplaceAll(c.mistake, " ", "_"), func(t *testing.T) {
			r := newRig(t)
			r.patience = time.Second
			mistaken := *r.srv.table["NOOP"]
			sound := r.srv.table["NOOP"]
			c.spoil(&mistaken)
			// The session that looks on says NOOP as well: it is served by the
			// sound one.
			mistaken.do = func(broken handler) handler {
				return func(s *session, ctx context.Context, a arg) (reply, error) {
					if s.login.account == nil {
						return sound.do(s, ctx, a)
					}
					return broken(s, ctx, a)
				}
			}(mistaken.do)
			r.srv.table["NOOP"] = &mistaken
			found := strings.Join(r.converse(t, stageLoggedIn, []byte(c.lines), c.how), "\n")
			if (found == "") != (c.want == "") || !strings.Contains(found, c.want) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}
