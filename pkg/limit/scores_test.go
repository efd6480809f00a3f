package limit

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

var stranger = netip.MustParseAddr("192.0.2.7")

func TestAScoreBelowTheLimitBansNobodyAndThatOfTheLimitDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewScores(ScorePolicy{Limit: 10})
		for i := range 9 {
			if ban := s.Add(stranger, 1); ban != 0 {
				t.Fatalf("banned with %d of 10", i+1)
			}
		}
		if ban := s.Add(netip.MustParseAddr("192.0.2.8"), 1); ban != 0 {
			t.Error("another address pays for it")
		}
		if ban := s.Add(stranger, 1); ban != 10*time.Minute {
			t.Errorf("with 10 of 10: %v", ban)
		}
		if ban := s.Add(stranger, 1); ban != 0 {
			t.Errorf("a new score begins with %v", ban)
		}
	})
}

func TestAScoreIsForgottenWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewScores(ScorePolicy{Limit: 10, Forget: 10 * time.Minute})
		for range 100 { // one point a minute is forgotten as fast as it comes
			if ban := s.Add(stranger, 1); ban != 0 {
				t.Fatal("somebody who errs now and then was banned")
			}
			time.Sleep(time.Minute)
		}
		s.Add(stranger, 9)
		time.Sleep(time.Minute)
		if ban := s.Add(stranger, 1); ban != 0 {
			t.Error("a point was not forgotten")
		}
	})
}

func TestABanGrowsForRepeatersAndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewScores(ScorePolicy{Limit: 10, Span: time.Hour, Most: 5 * time.Hour})
		for i, want := range []time.Duration{1, 2, 4, 5, 5} {
			ban := s.Add(stranger, 10)
			if ban != want*time.Hour {
				t.Errorf("ban %d lasts %v, want %v", i+1, ban, want*time.Hour)
			}
			time.Sleep(ban)
		}
		time.Sleep(5 * 5 * time.Hour)
		if ban := s.Add(stranger, 10); ban != time.Hour {
			t.Errorf("after a long quiet: %v", ban)
		}
		s.Forget(stranger)
		if ban := s.Add(stranger, 10); ban != time.Hour {
			t.Errorf("after it was forgiven: %v", ban)
		}
	})
}

func TestASlash64SharesItsScore(t *testing.T) {
	s := NewScores(ScorePolicy{Limit: 10})
	for i := range 9 {
		s.Add(netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)), 1)
	}
	if ban := s.Add(netip.MustParseAddr("2001:db8:0:1::1"), 1); ban != 0 {
		t.Error("the next /64 pays for it")
	}
	if ban := s.Add(netip.MustParseAddr("2001:db8::ffff:1"), 1); ban == 0 {
		t.Error("ten addresses of one /64 are ten strangers")
	}
}

func TestWhomTheScoreNeverBans(t *testing.T) {
	never := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	s := NewScores(ScorePolicy{Limit: 10, Never: never})
	for addr, spared := range map[string]bool{
		"127.0.0.1": true, "::ffff:127.1.2.3": true, "2001:db8:9::1": true, "128.0.0.1": false, "2001:db9::1": false,
	} {
		if ban := s.Add(netip.MustParseAddr(addr), 10); (ban == 0) != spared {
			t.Errorf("%s: %v", addr, ban)
		}
	}
	if ban := NewScores(ScorePolicy{}).Add(stranger, 1000); ban != 0 {
		t.Error("banned without a limit")
	}
}

func TestTheMemoryOfScoresIsBounded(t *testing.T) {
	s := NewScores(ScorePolicy{Limit: 10, Entries: 100})
	neighbours := func(net byte, n int) {
		for i := range n {
			s.Add(netip.AddrFrom4([4]byte{10, net, byte(i >> 8), byte(i)}), 1)
		}
	}
	s.Add(stranger, 5)
	neighbours(0, 99)
	s.Add(stranger, 1) // who was heard of last is kept
	neighbours(1, 50)
	if ban := s.Add(stranger, 4); ban == 0 {
		t.Error("a score was pushed out although others were quiet for longer")
	}
	neighbours(2, 1000)
	if len(s.entries) != 100 || s.order.Len() != 100 {
		t.Errorf("%d, %d entries", len(s.entries), s.order.Len())
	}
}

// The negative control of every count by /64: where each address of it has a
// score of its own, one customer has as many as he likes.
func TestAScoreOfEachWholeAddressIsEvadedWithinASlash64(t *testing.T) {
	misbehave := func(s *Scores) (banned int) {
		for i := range 100 {
			if s.Add(netip.MustParseAddr(fmt.Sprintf("2001:db8:0:1::%x", i+1)), 9) > 0 {
				banned++
			}
		}
		return banned
	}
	s := NewScores(ScorePolicy{Limit: 10})
	if misbehave(s) == 0 {
		t.Error("counted by /64: never banned")
	}
	s = NewScores(ScorePolicy{Limit: 10})
	s.network = func(addr netip.Addr) netip.Addr { return addr }
	if n := misbehave(s); n > 0 {
		t.Errorf("counted by address: banned %d times: this shows nothing", n)
	}
}
