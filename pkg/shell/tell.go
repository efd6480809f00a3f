package shell

import (
	"errors"
	"fmt"
	"strings"

	"ftps/pkg/catalog"
	"ftps/pkg/ftpclient"
)

// Tell shows an error and returns it. A reply of the server speaks for
// itself, and has mostly been shown already.
func (o *Options) Tell(err error) error {
	if err == nil {
		return nil
	}
	class := ftpclient.Class(err)
	message := catalog.Explain(o.Lang, err)
	var misused *usage
	if errors.As(err, &misused) {
		message = catalog.Explain(o.Lang, misused.error) + "\n" + catalog.Text(o.Lang, "shell.usage", misused.synopsis)
	}
	var reply *ftpclient.ReplyError
	isReply := errors.As(err, &reply)
	if o.JSON {
		first, hint, _ := strings.Cut(message, "\n")
		object := struct {
			Event   string `json:"event"`
			Exit    int    `json:"exit"`
			Code    int    `json:"code,omitempty"`
			Message string `json:"message"`
			Hint    string `json:"hint,omitempty"`
		}{Event: "error", Exit: int(class), Message: first, Hint: hint}
		if isReply {
			object.Code = reply.Reply.Code
		}
		writeJSON(o.Out, object)
	}
	switch {
	case class == ftpclient.Interrupted:
		fmt.Fprintln(o.Err, "ftps: "+catalog.Text(o.Lang, "shell.interrupted"))
	case isReply && speaksForItself(err):
		o.Dialogue.refused(reply.Reply)
	default:
		fmt.Fprintln(o.Err, "ftps: "+message)
	}
	return err
}

// speaksForItself: a reply is all that there is to say, and not the cause of
// something else.
func speaksForItself(err error) bool {
	var sentence interface{ Message() (string, []any) }
	if !errors.As(err, &sentence) {
		return true
	}
	_, is := sentence.(*ftpclient.ReplyError)
	return is
}
