package shell

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/ftptest/terminal"
	"ftps/pkg/mirror"
)

var update = flag.Bool("update", false, "rewrite the screens in testdata")

// played is a Files that tells what a script says, at the script's pace.
type played struct {
	Files
	play func(tell func(mirror.Event))
}

func (p played) Mirror(_ context.Context, _, _ string, o mirror.MirrorOptions, see func(*mirror.Changes) bool, tell func(mirror.Event)) (mirror.Result, error) {
	see(&mirror.Changes{Options: o, Changes: []mirror.Change{{Kind: mirror.IsNew, Name: "x"}}})
	p.play(tell)
	return mirror.Result{Files: 3, Bytes: 30 << 20, Seconds: 15}, nil
}

// A mirror under way and at its end, at a clock of the test's own.
func TestTheScreensOfAMirror(t *testing.T) {
	for _, lang := range []catalog.Lang{catalog.English, catalog.Spanish} {
		for _, look := range []struct {
			name    string
			columns int
			colour  bool
		}{{"80", 80, true}, {"plain", 80, false}, {"narrow", 30, true}} {
			t.Run(fmt.Sprintf("%v/%s", lang, look.name), func(t *testing.T) {
				p := terminal.Open(t, look.columns, 12)
				synctest.Test(t, func(t *testing.T) {
					st := newStage(t, func(o *Options) {
						o.Lang, o.Out, o.Err, o.Progress = lang, p.Slave, p.Slave, p.Slave
						o.ColourOut, o.ColourErr = look.colour, look.colour
						o.Dialogue = NewDialogue(p.Slave, look.colour, false)
					})
					keeps := func(scene string) {
						t.Helper()
						p.Settle()
						terminal.Golden(t, filepath.Join("testdata", "screens", fmt.Sprintf("%s-%v-%s.txt", scene, lang, look.name)), p.Screen(), *update)
					}
					item := func(id int, name string) mirror.Item {
						return mirror.Item{ID: id, Remote: "/docs/" + name, Local: name, Size: 20 << 20}
					}
					whole, resumed, long := item(0, "report.pdf"), item(1, "resumed.iso"), item(2, strings.Repeat("a-long-name-", 10)+"end.txt")
					st.Files = played{play: func(tell func(mirror.Event)) {
						moves := func(i mirror.Item, seconds int) {
							for range 2 * seconds {
								time.Sleep(500 * time.Millisecond)
								tell(mirror.Moved{Item: i, N: 1 << 20})
							}
						}
						tell(mirror.Planned{Plan: &mirror.Plan{Tree: true, Files: []mirror.Item{whole, resumed, long}, Bytes: 60 << 20}})
						tell(mirror.Started{Item: whole})
						moves(whole, 10)
						tell(mirror.Done{Item: whole, Bytes: 20 << 20, Moved: 20 << 20, Seconds: 10, Verified: mirror.ByHash})
						tell(mirror.Started{Item: resumed, Offset: 15 << 20})
						moves(resumed, 1)
						keeps("mirror")
						tell(mirror.Retrying{Item: resumed, Err: mirror.ErrSize, Attempt: 1})
						moves(resumed, 1)
						tell(mirror.Done{Item: resumed, Bytes: 20 << 20, Moved: 5 << 20, Seconds: 3, Resumed: true, Verified: mirror.BySize})
						tell(mirror.Started{Item: long})
						moves(long, 2)
						keeps("mirror-long-name")
						tell(mirror.Done{Item: long, Bytes: 20 << 20, Moved: 20 << 20, Seconds: 10, Verified: mirror.ByHash})
					}}
					if err := st.Command(t.Context(), []string{"mirror", "docs", "copy"}); err != nil {
						t.Error(err)
					}
					keeps("mirror-end")
				})
				if !look.colour && strings.Contains(p.Transcript(), "\x1b[3") {
					t.Error("colours, without leave")
				}
			})
		}
	}
}
