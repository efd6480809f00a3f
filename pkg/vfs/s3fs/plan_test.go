package s3fs

import (
	"fmt"
	"testing"
	"time"

	"ftps/pkg/vfs"
)

// A store takes 10,000 pieces of at least 5 MiB each. Whoever announced a size
// gets there, whatever it is, and nobody else runs out before half a terabyte.
func TestThePiecesSufficeForWhatWasAnnounced(t *testing.T) {
	f := &FS{store: &Store{opts: Options{PartSize: 8 << 20}}}
	for _, size := range []int64{-1, 0, 1, 8 << 20, 80 << 30, 1 << 40, 5 << 40} {
		u := &upload{fs: f, next: 1}
		u.how.Size = size
		var room int64
		for {
			n := u.pieceSize()
			if n == 0 {
				break
			}
			if n < minPart {
				t.Fatalf("%d: piece %d of %d bytes", size, u.next, n)
			}
			room += int64(n)
			u.next++
		}
		if u.next != maxParts+1 || room < size || room < 500<<30 && size <= 0 {
			t.Errorf("%d: %d pieces hold %d", size, u.next-1, room)
		}
	}
}

func TestPiecesAreCompletedInTheirOrderAndSummed(t *testing.T) {
	pieces := []piece{{1, "a", 5}, {2, "b", 7}}
	if total(pieces) != 12 || total(nil) != 0 {
		t.Error(total(pieces))
	}
	if all := complete(pieces); len(all) != 2 || all[1].PartNumber != 2 || all[1].ETag != "b" {
		t.Errorf("%+v", all)
	}
}

// Times lie beside the files of a folder and are walked with them: each file
// has its own, and only while it is still the one that it was given to.
func TestEachFileOfAListingHasItsOwnTime(t *testing.T) {
	at := func(n int64) time.Time { return time.Unix(n, 0) }
	times := []timed{
		{"a", given{etag: "old", time: at(1)}}, // of a file that was replaced
		{"a", given{etag: "now", time: at(2)}},
		{"gone", given{etag: "x", time: at(3)}}, // of a file that is not there
		{"z", given{etag: "other", time: at(4)}},
	}
	d := &dated{next: func() (timed, bool) {
		if len(times) == 0 {
			return timed{}, false
		}
		first := times[0]
		times = times[1:]
		return first, true
	}}
	d.at, d.more = d.next()
	for _, c := range []struct {
		base, etag string
		want       int64
	}{{"a", "now", 2}, {"b", "x", 100}, {"z", "new", 100}, {"zz", "new", 100}} {
		o, err := d.of(c.base, object{etag: c.etag, time: at(100)})
		if err != nil || !o.time.Equal(at(c.want)) || o.told != (c.want != 100) {
			t.Errorf("%s: %+v, %v", c.base, o, err)
		}
	}
	broken := fmt.Errorf("broken")
	d = &dated{at: timed{given: given{err: broken}}, more: true}
	if _, err := d.of("a", object{}); err != broken {
		t.Errorf("a listing that broke off: %v", err)
	}
}

func TestATimeCountsForTheFileThatItWasGivenTo(t *testing.T) {
	stored, told := time.Unix(1, 0), time.Unix(2, 0)
	o := object{etag: "e", time: stored}
	for etag, want := range map[string]time.Time{"e": told, "f": stored, "": stored} {
		if got := (given{etag: etag, time: told}).of(o); !got.time.Equal(want) {
			t.Errorf("%q: %+v", etag, got)
		}
	}
	if _, _, ok := parseTimeKey("d/" + hiddenTime + "/" + encode(hiddenTime, "f") + "e!x"); ok {
		t.Error("a time that is no number")
	}
}

func TestABrokenUploadIsGoneOnWithByOneOnly(t *testing.T) {
	s := &Store{parts: make(map[string]bool), uploads: make(map[string]int), held: make(map[string]bool)}
	r := record{key: "k"}
	if !s.claim("b", r) || s.claim("b", r) || !s.claimed("b", r) || s.claimed("c", r) {
		t.Error("one record, two uploads")
	}
	s.unclaim("b", r)
	if s.claimed("b", r) || !s.claim("b", r) {
		t.Error("it was not given back")
	}
}

// A file that was sent into a folder while that was renamed was removed with
// what had been copied, after its 226.
func TestNothingIsSentIntoAFolderThatIsBeingRenamed(t *testing.T) {
	s := &Store{parts: make(map[string]bool), uploads: make(map[string]int), held: make(map[string]bool)}
	if err := s.enter("b/d/e/"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.hold("b/d/"); err != vfs.ErrBusy {
		t.Errorf("an upload under way below it: %v", err)
	}
	if done, err := s.hold("b/x/"); err != nil {
		t.Errorf("uploads under way are looked for in other folders: %v", err)
	} else {
		done()
	}
	s.leave("b/d/e/")
	done, err := s.hold("b/d/")
	if err != nil {
		t.Fatalf("it is over: %v", err)
	}
	for folder, want := range map[string]error{"b/d/": vfs.ErrBusy, "b/d/e/": vfs.ErrBusy, "b/dd/": nil, "b/": nil} {
		if err := s.enter(folder); err != want {
			t.Errorf("into %s: %v", folder, err)
		}
	}
	if _, err := s.hold("b/d/"); err != vfs.ErrBusy {
		t.Errorf("a second at once: %v", err)
	}
	done()
	if err := s.enter("b/d/"); err != nil || len(s.held) != 0 {
		t.Errorf("afterwards: %v, %v", err, s.held)
	}
}

// A time that an object was stored with is not that of the next object of the
// same content, whoever stored it.
func TestATimeIsKnownForOneObjectAndNotForTheNextOfTheSameContent(t *testing.T) {
	var d datings
	now, told := time.Unix(1_000_000, 0), time.Unix(5, 0)
	d.learn("b/f", dating{"e", now, told})
	d.learn("b/g", dating{"e", now, time.Time{}})
	for _, c := range []struct {
		at, etag string
		stored   time.Time
		known    bool
		want     time.Time
	}{
		{"b/f", "e", now.Add(slack), true, told},
		{"b/f", "e", now.Add(-slack), true, told},
		{"b/f", "e", now.Add(slack + 1), false, now.Add(slack + 1)},
		{"b/f", "x", now, false, now},
		{"b/g", "e", now.Add(1), true, now.Add(1)},
		{"b/h", "e", now, false, now},
	} {
		o, known := d.of(c.at, object{etag: c.etag, time: c.stored})
		if known != c.known || !o.time.Equal(c.want) || o.own != (known && c.want.Equal(told)) {
			t.Errorf("%+v: %+v, %v", c, o, known)
		}
	}
	for i := range 2*many + 1 {
		d.learn(fmt.Sprint(i), dating{})
	}
	if len(d.all) > many {
		t.Error(len(d.all))
	}
}
