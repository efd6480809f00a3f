package s3fs

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatWasLearnedIsBelievedForAMomentOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recent[int]
		r.learn("b/a", 1)
		time.Sleep(believed - time.Nanosecond)
		if v, ok := r.knows("b/a"); !ok || v != 1 {
			t.Errorf("%d, %v", v, ok)
		}
		time.Sleep(time.Nanosecond)
		if _, ok := r.knows("b/a"); ok || !r.knew("b/a") {
			t.Error("still believed, or forgotten")
		}
	})
}

func TestForgettingAFolderForgetsWhatIsInItAndNothingElse(t *testing.T) {
	var r recent[int]
	for _, at := range []string{"b/a", "b/a/x", "b/a/x/y", "b/ab", "b"} {
		r.learn(at, 0)
	}
	r.forget("b/a")
	for at, want := range map[string]bool{"b/a": false, "b/a/x": false, "b/a/x/y": false, "b/ab": true, "b": true} {
		if _, ok := r.knows(at); ok != want {
			t.Errorf("%s: %v", at, ok)
		}
	}
}

func TestAFolderThatIsGoneOrHasANewPartIsNotBelieved(t *testing.T) {
	var s seen
	s.folders.learn("b/d/e", struct{}{})
	s.partless.learn("b/d", struct{}{})
	s.objects.learn("b/d/f", known{})
	s.names.learn("b/d", &names{taken: make(map[string]bool)})
	s.madePart("b/d")
	if _, ok := s.partless.knows("b/d"); ok {
		t.Error("a folder with a new part has none")
	}
	s.partless.learn("b/d", struct{}{})
	s.forget("b/d")
	if s.folders.knew("b/d/e") || s.partless.knew("b/d") || s.objects.knew("b/d/f") || s.names.knew("b/d") {
		t.Error("something is believed of a folder that is gone")
	}
}

func TestWhatAProcessLearnsIsBounded(t *testing.T) {
	var r recent[struct{}]
	for i := range 3 * many {
		r.learn(string(rune(i+1000)), struct{}{})
		if len(r.facts) > many {
			t.Fatal(len(r.facts))
		}
	}
}

// What this process makes while a folder is being listed is a taken name,
// whatever the listing says.
func TestANameMadeDuringAListingIsTaken(t *testing.T) {
	var s seen
	n := &names{taken: make(map[string]bool)}
	s.names.learn("b/d", n)
	s.made("b/d/new")
	s.madePart("b/d")
	n.add("old")
	n.finish(true)
	for base, want := range map[string]bool{"new": false, "old": false, hiddenPart: false, "free": true} {
		if lacking, listed := n.lacks(base); lacking != want || !listed {
			t.Errorf("%s: %v, %v", base, lacking, listed)
		}
	}
	n.finish(false)
	if lacking, _ := n.lacks("free"); lacking {
		t.Error("a listing that is not whole told that a name is free")
	}
}

// One who waits for a slow store holds up nobody but those who want the same.
func TestOneAtATimeChangesAKeyAndOthersDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turn turns
		first, err := turn.take(t.Context(), "b", "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		other, err := turn.take(t.Context(), "c")
		if err != nil {
			t.Fatal(err)
		}
		other()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := turn.take(ctx, "c", "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second had its turn as well: %v", err)
		}
		got := make(chan struct{})
		go func() {
			done, err := turn.take(t.Context(), "c", "a")
			if err != nil {
				t.Error(err)
			}
			done()
			close(got)
		}()
		synctest.Wait()
		first()
		<-got
		if len(turn.taken) != 0 {
			t.Errorf("left: %v", turn.taken)
		}
	})
}
