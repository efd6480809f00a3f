package shell

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
	"ftps/pkg/mirror"
)

func TestTheRateIsThatOfTheLastSeconds(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var p pace
	p.add(now, 0)
	if p.rate(now) != 0 || p.left(now, 100) != "" {
		t.Error("a rate out of nothing")
	}
	for range 100 { // 10 s at 1 MB/s
		now = now.Add(100 * time.Millisecond)
		p.add(now, 100_000)
	}
	if r := p.rate(now); r < 990_000 || r > 1_010_000 {
		t.Errorf("%d at a steady million", r)
	}
	for range 100 { // and then a tenth of it
		now = now.Add(100 * time.Millisecond)
		p.add(now, 10_000)
	}
	if r := p.rate(now); r > 101_000 {
		t.Errorf("%d: it remembers the fast time", r)
	}
	if got := p.left(now, 100_000*75); got != "1:15" {
		t.Errorf("%s left", got)
	}
	if got := p.left(now, 100_000*3661); got != "1:01:01" {
		t.Errorf("%s left", got)
	}
	if len(p.samples) > 110 {
		t.Errorf("%d samples are kept", len(p.samples))
	}
}

// The first figure of a resumed file was that of the bytes it had before.
func TestAResumedFilesRateCountsThisRunsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t, func(o *Options) { o.JSON = true })
		item := mirror.Item{Remote: "/big", Local: "big", Size: 10 << 30}
		w := st.watch(&st.out)
		w.tell(mirror.Planned{Plan: &mirror.Plan{Files: []mirror.Item{item}, Bytes: item.Size}})
		w.tell(mirror.Started{Item: item, Offset: 9 << 30})
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			w.tell(mirror.Moved{Item: item, N: 100_000})
		}
		var last struct {
			Event             string
			Bytes, Size, Rate int64
		}
		progress := 0
		for _, line := range lines(st.out.String()) {
			if err := json.Unmarshal([]byte(line), &last); err != nil {
				t.Fatal(err)
			}
			if last.Event != "progress" {
				continue
			}
			progress++
			if last.Rate < 900_000 || last.Rate > 1_100_000 || last.Bytes < 9<<30 || last.Size != item.Size {
				t.Errorf("got %+v", last)
			}
		}
		if progress != 2 {
			t.Errorf("%d events of progress in two seconds:\n%s", progress, &st.out)
		}
	})
}

func TestAFailedFilesObjectHasCodeAndHint(t *testing.T) {
	st := newStage(t, func(o *Options) { o.JSON = true })
	reply := &ftpclient.ReplyError{Command: "RETR", Reply: ftp.Reply{Code: 550, Lines: []string{"gone"}}}
	st.mover.play = []mirror.Event{
		mirror.Failed{Item: mirror.Item{Remote: "/a"}, Err: reply},
		mirror.Failed{Item: mirror.Item{Remote: "/b"}, Err: mirror.ErrIsFolder},
	}
	out, _, _ := st.run(t, "get -r x")
	if got := lines(out); len(got) != 2 || !strings.Contains(got[0], `"code":550`) || !strings.Contains(got[0], `"exit":6`) || !strings.Contains(got[1], `"hint":"`) {
		t.Errorf("got %s", out)
	}
}

func TestTheFiguresFitTheLine(t *testing.T) {
	for width := 20; width <= 200; width++ {
		for _, name := range []string{"a", "notes.txt", strings.Repeat("long", 60), strings.Repeat("名", 60)} {
			got := describe(width, name, "1234/5678", "999.9 MiB/999.9 GiB", "999.9 MiB/s", "99:59:59")
			if used := columns(got) + percent + barWidth(width); used > width {
				t.Fatalf("%d of %d columns: %q", used, width, got)
			}
			if !strings.HasPrefix(got, name[:1]) && !strings.Contains(got, "…") {
				t.Errorf("%d columns: no name in %q", width, got)
			}
		}
	}
	if got := describe(80, "notes.txt", "", "1.0 MiB/2.0 MiB", "512.0 KiB/s", "0:02"); got != "notes.txt 1.0 MiB/2.0 MiB 512.0 KiB/s 0:02" {
		t.Errorf("got %q", got)
	}
	if got := describe(30, "notes.txt", "", "1.0 MiB/2.0 MiB", "512.0 KiB/s", "0:02"); got != "notes.txt 0:02" {
		t.Errorf("got %q", got)
	}
}
