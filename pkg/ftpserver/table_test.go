package ftpserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"ftps/pkg/catalog"
	"ftps/pkg/dataport"
	"ftps/pkg/vfs"
)

func TestEveryErrorHasItsOneReply(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{vfs.ErrEscape, 550},
		{vfs.ErrBadName, 553},
		{vfs.ErrNotDir, 550},
		{vfs.ErrIsDir, 550},
		{vfs.ErrNotEmpty, 550},
		{vfs.ErrNotRegular, 550},
		{vfs.ErrNoSpace, 452},
		{vfs.ErrQuota, 552},
		{vfs.ErrReadOnly, 550},
		{vfs.ErrOffset, 554},
		{vfs.ErrBusy, 450},
		{vfs.ErrIncomplete, 451},
		{fs.ErrNotExist, 550},
		{fs.ErrExist, 550},
		{fs.ErrPermission, 550},
		{errors.ErrUnsupported, 504},
		{dataport.ErrNotProven, 522},
		{dataport.ErrHandshake, 425},
		{dataport.ErrBusy, 425},
		{dataport.ErrEnded, 425}, // was 451 "internal error", after which no client tries again
		{dataport.ErrNoConnection, 425},
		{errors.Join(errData, syscall.ECONNRESET), 426},
		{errors.Join(errSource, syscall.EIO), 451},
		{errAborted, 426},
		{errControlLost, 426},
		{errKicked, 426},
		{errShutdown, 426},
		{context.Canceled, 426},
		{refuse("reply.unknown"), 500},
		{refuseFor(fs.ErrNotExist, "reply.login.no"), 530}, // a refusal's cause is for the log
		{errors.New("something that nobody foresaw"), 451},
	} {
		for _, err := range []error{c.err, fmt.Errorf("wrapped: %w", c.err)} {
			got := answer(err)
			if got.Code() != c.code {
				t.Errorf("%v: %d, want %d", err, got.Code(), c.code)
			}
			text := got.wire(catalog.English, "0badcafe").Text()
			if strings.Contains(text, "foresaw") || strings.Contains(text, "wrapped") {
				t.Errorf("the client is told of %v: %s", err, text)
			}
			if referenced[c.code] != strings.Contains(text, "[0badcafe]") {
				t.Errorf("%d: the session's id is %v in %q", c.code, !referenced[c.code], text)
			}
		}
	}
}

func TestEveryRowOfTheTableIsWhole(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range commands() {
		if seen[r.verb] {
			t.Errorf("%s stands twice", r.verb)
		}
		seen[r.verb] = true
		if (r.do == nil) == (r.begin == nil) {
			t.Errorf("%s needs a handler or a beginner, one of them", r.verb)
		}
		if _, ok := catalog.Lookup(r.help); !ok {
			t.Errorf("%s: the catalogue has no %q", r.verb, r.help)
		}
		if r.rfc == "" {
			t.Errorf("%s: no RFC", r.verb)
		}
		if r.perm != 0 && r.need&needLogin == 0 {
			t.Errorf("%s asks for a right before there is an account", r.verb)
		}
		if r.begin != nil && r.need&needProtected == 0 {
			t.Errorf("%s moves data and does not ask for its protection", r.verb)
		}
		if strings.Contains(strings.Join(foreign, " ")+" ", r.verb+" ") {
			t.Errorf("%s is a command and another protocol's", r.verb)
		}
	}
}

func TestRepliesOfTheCatalogueHaveCodes(t *testing.T) {
	for row := range catalog.Rows {
		if !strings.HasPrefix(row.Key, "reply.") || strings.HasPrefix(row.Key, "reply.help.") || row.Key == "reply.stat.transfer" {
			continue
		}
		if row.Code < 100 || row.Code > 599 {
			t.Errorf("%s: code %d", row.Key, row.Code)
		}
	}
}
