package ftpclient_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

func TestARefusalIsNotTriedAgainAndABrokenConnectionIs(t *testing.T) {
	for code, want := range map[int]bool{421: true, 425: true, 426: true, 450: false, 452: false, 530: false, 550: false, 552: false} {
		if got := ftpclient.Again(fmt.Errorf("behind: %w", &ftpclient.ReplyError{Reply: ftp.Reply{Code: code}})); got != want {
			t.Errorf("%d: %v", code, got)
		}
	}
	if !ftpclient.Again(ftpclient.ErrLost) || ftpclient.Again(errors.New("disk full")) || ftpclient.Again(context.Canceled) {
		t.Error("a lost connection, the disk, or the person")
	}
}

func TestEachPauseIsLongerThanTheLastAndNoneIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for attempt, most := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			start := time.Now()
			if err := ftpclient.Pause(t.Context(), attempt); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d > most*time.Second || d < most*time.Second/2 {
				t.Errorf("before try %d it waited %v", attempt, d)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ftpclient.Pause(ctx, 5); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}
