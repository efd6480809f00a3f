package ftpserver

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"ftps/pkg/catalog"
	"ftps/pkg/dataport"
	"ftps/pkg/ftp"
	"ftps/pkg/layer"
	"ftps/pkg/vfs"
)

// reply is one reply to a command: a row of the catalogue with its arguments,
// or lines that no language changes (227, 229, 257, 213, facts).
type reply struct {
	key  string
	args []any

	code  int // with lines
	lines []string

	// then is done once the reply is sent, as AUTH begins TLS behind its 234.
	then func(ctx context.Context) error
}

// say is a reply from the catalogue.
func say(key string, args ...any) reply { return reply{key: key, args: args} }

// plain is a reply that programs read.
func plain(code int, lines ...string) reply { return reply{code: code, lines: lines} }

// Code returns the reply's three digits as a number.
func (r reply) Code() int {
	if r.key != "" {
		return catalog.Code(r.key)
	}
	return r.code
}

// referenced are the codes whose last line ends with the session's log id, so
// that whoever is told of them can be helped from the log.
var referenced = map[int]bool{421: true, 425: true, 426: true, 451: true, 522: true}

// wire turns a reply into what is sent.
func (r reply) wire(lang catalog.Lang, id string) ftp.Reply {
	out := ftp.Reply{Code: r.Code(), Lines: r.lines}
	if r.key != "" {
		out.Lines = splitLines(catalog.Text(lang, r.key, r.args...))
	}
	if referenced[out.Code] && id != "" {
		lines := append([]string(nil), out.Lines...)
		lines[len(lines)-1] += " [" + id + "]"
		out.Lines = lines
	}
	return out
}

func splitLines(text string) []string { return strings.Split(text, "\n") }

// refusal is a deliberate no: the reply that is sent, and a cause that is
// only logged.
type refusal struct {
	reply reply
	cause error
}

func (r *refusal) Error() string {
	if r.cause != nil {
		return r.cause.Error()
	}
	return "refused: " + r.reply.key
}

func (r *refusal) Unwrap() error { return r.cause }

// ReplyKey is the row of the reply that was sent: the log tells by it which
// setting refused.
func (r *refusal) ReplyKey() string { return r.reply.key }

// refuse is an error that becomes the reply of that row.
func refuse(key string, args ...any) error { return &refusal{reply: say(key, args...)} }

// refuseFor is refuse with a cause for the log.
func refuseFor(cause error, key string, args ...any) error {
	return &refusal{reply: say(key, args...), cause: cause}
}

// faults is the one table by which errors become replies; the first row that
// matches decides.
var faults = []struct {
	err error
	key string
}{
	{errControlLost, "reply.aborted"},
	{errAborted, "reply.aborted"},
	{errKicked, "reply.aborted"},
	{errShutdown, "reply.aborted"},
	{vfs.ErrEscape, "reply.denied"},
	{vfs.ErrBadName, "reply.badname"},
	{vfs.ErrNotDir, "reply.notdir"},
	{vfs.ErrIsDir, "reply.isdir"},
	{vfs.ErrNotEmpty, "reply.notempty"},
	{vfs.ErrNotRegular, "reply.notregular"},
	{vfs.ErrNoSpace, "reply.nospace"},
	{vfs.ErrQuota, "reply.quota"},
	{vfs.ErrReadOnly, "reply.readonly"},
	{vfs.ErrOffset, "reply.offset"},
	{vfs.ErrBusy, "reply.busy"},
	{vfs.ErrIncomplete, "reply.incomplete"},
	{vfs.ErrUnavailable, "reply.unavailable"},
	{fs.ErrNotExist, "reply.notfound"},
	{fs.ErrExist, "reply.exists"},
	{fs.ErrPermission, "reply.denied"},
	{errors.ErrUnsupported, "reply.unsupported"},
	{dataport.ErrNotProven, "reply.data.notproven"},
	{dataport.ErrHandshake, "reply.data.handshake"},
	{dataport.ErrBusy, "reply.data.busy"},
	{dataport.ErrNoConnection, "reply.data.none"},
	{dataport.ErrEnded, "reply.data.ended"},
	{layer.ErrTooSlow, "reply.data.slow"},
	{errOutOfStep, "reply.ahead.other"},
	{errData, "reply.data.broken"},
	{errSource, "reply.source"},
	{io.ErrShortWrite, "reply.nospace"},
	{context.Canceled, "reply.aborted"},
	{context.DeadlineExceeded, "reply.aborted"},
}

// answer turns an error into the reply that the client is told. What no row
// knows is 451 with the session's id and nothing else: the log has the rest
// under that id.
func answer(err error) reply {
	var no *refusal
	if errors.As(err, &no) {
		return no.reply
	}
	for _, f := range faults {
		if errors.Is(err, f.err) {
			return say(f.key)
		}
	}
	return say("reply.internal")
}
