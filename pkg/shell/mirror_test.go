package shell

import (
	"errors"
	"strings"
	"testing"

	"ftps/pkg/catalog"
	"ftps/pkg/ftpclient"
	"ftps/pkg/mirror"
)

func differing() mirror.Changes {
	return mirror.Changes{Same: 7, Bytes: 2048, Changes: []mirror.Change{
		{Kind: mirror.IsNew, Name: "docs", Folder: true},
		{Kind: mirror.IsNew, Name: "docs/a\x1b[31m", Size: 2048},
		{Kind: mirror.IsNewer, Name: "b", Size: 5},
		{Kind: mirror.Clashes, Name: "c", Size: 5, Kept: true},
		{Kind: mirror.IsGone, Name: "d", Size: 5, Kept: true},
	}}
}

func TestADryRunShowsWhatDiffersAndDoesNothing(t *testing.T) {
	for lang, want := range map[catalog.Lang][]string{
		catalog.English: {"new", "docs/", "newer", "(newer in the target; kept)", "gone", "(not deleted)", "2 new, 1 newer, 1 gone, 1 in conflict, 7 equal"},
		catalog.Spanish: {"nuevo", "docs/", "cambiado", "(más nuevo en el destino; se conserva)", "sobrante", "(no se borra)", "2 nuevos, 1 cambiados, 1 sobrantes"},
	} {
		st := newStage(t, func(o *Options) { o.Lang = lang })
		st.mover.changes = differing()
		out, errs, err := st.run(t, "mirror --dry-run docs here")
		if err != nil || errs != "" {
			t.Errorf("%v %q", err, errs)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%v: no %q in\n%s", lang, w, out)
			}
		}
		if strings.Contains(out, "\x1b") {
			t.Error("an escape sequence of a name reaches the terminal")
		}
		if len(st.mover.mirrored) != 1 {
			t.Errorf("%v", st.mover.mirrored)
		}
	}
}

func TestADryRunInObjects(t *testing.T) {
	st := newStage(t)
	st.mover.changes = differing()
	out, _, err := st.run(t, "mirror --dry-run --json docs here")
	if err != nil || len(lines(out)) != 6 ||
		!strings.Contains(out, `{"event":"change","change":"newer","name":"b","folder":false,"size":5,"kept":false}`) ||
		!strings.HasSuffix(out, `{"event":"plan","new":2,"newer":1,"gone":1,"conflict":1,"same":7,"bytes":2048,"gaps":0}`+"\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheOptionsOfAMirrorArrive(t *testing.T) {
	for line, want := range map[string]string{
		"mirror docs here":        "{Upload:false Delete:false MaxDelete:0 OnlyNewer:false Exclude:[] Include:[]}",
		"sync -R here docs":       "{Upload:true Delete:true MaxDelete:0 OnlyNewer:false Exclude:[] Include:[]}",
		"MIRROR --delete a b":     "{Upload:false Delete:true MaxDelete:0 OnlyNewer:false Exclude:[] Include:[]}",
		"mirror --only_newer a b": "{Upload:false Delete:false MaxDelete:0 OnlyNewer:true Exclude:[] Include:[]}",
		"mirror --exclude=*.o a --exclude .git/ --max-delete 3 b --include k.o": "{Upload:false Delete:false MaxDelete:3 OnlyNewer:false Exclude:[*.o .git/] Include:[k.o]}",
	} {
		st := newStage(t)
		_, _, err := st.run(t, line)
		if err != nil || len(st.mover.mirrored) != 2 || !strings.HasSuffix(st.mover.mirrored[0], want) {
			t.Errorf("%s: %v, %q", line, err, st.mover.mirrored)
		}
	}
	for _, line := range []string{
		"mirror a", "mirror a b c", "mirror --exclude", "mirror a b --max-delete", "mirror --max-delete=0 a b",
		"mirror --max-delete=x a b", "mirror --delete=yes a b", "mirror --dry a b", "sync -r a b",
	} {
		st := newStage(t)
		if _, errs, err := st.run(t, line); ftpclient.Class(err) != ftpclient.Usage || errs == "" || len(st.mover.mirrored) != 0 {
			t.Errorf("%s: %v %q", line, err, st.mover.mirrored)
		}
	}
}

func TestADryRunFailsWhereTheMirrorWould(t *testing.T) {
	st := newStage(t)
	st.mover.changes = mirror.Changes{Incomplete: true, Gaps: []mirror.Failure{{Name: "/x", Err: errors.New("450 busy")}}}
	_, errs, err := st.run(t, "sync --dry-run a b")
	if !errors.Is(err, mirror.ErrIncomplete) || !strings.Contains(errs, "/x") || ftpclient.Class(err) != ftpclient.SomeFailed {
		t.Errorf("%v\n%s", err, errs)
	}
	st = newStage(t)
	st.mover.changes = mirror.Changes{Changes: []mirror.Change{{Kind: mirror.IsGone, Name: "1"}, {Kind: mirror.IsGone, Name: "2"}}}
	if _, errs, err := st.run(t, "sync --dry-run --max-delete 1 a b"); err == nil || !strings.Contains(errs, "2") {
		t.Errorf("%v\n%s", err, errs)
	}
}

func TestABigFileMayComeOverSeveralConnections(t *testing.T) {
	for line, want := range map[string]int{"get -j 4 big": 4, "get -rj3 big": 3, "get big": 0} {
		st := newStage(t)
		if _, _, err := st.run(t, line); err != nil || len(st.mover.got) != 1 || st.mover.got[0].options.Segments != want {
			t.Errorf("%s: %v %+v", line, err, st.mover.got)
		}
	}
	for _, line := range []string{"get -j 0 big", "get -j 33 big", "get -j x big", "get big -j", "put -j 3 big"} {
		st := newStage(t)
		if _, _, err := st.run(t, line); ftpclient.Class(err) != ftpclient.Usage || len(st.mover.got)+len(st.mover.put) != 0 {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestNothingToDoIsSaid(t *testing.T) {
	st := newStage(t)
	st.mover.changes = mirror.Changes{Same: 3}
	if _, errs, err := st.run(t, "mirror a b"); err != nil || !strings.Contains(errs, "nothing to do: 3 files are equal") {
		t.Errorf("%v %q", err, errs)
	}
}
