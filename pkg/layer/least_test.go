package layer

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// slow moves n bytes in each call, which takes so long.
type slow struct {
	net.Conn
	n int
	d time.Duration
}

func (s *slow) Read(b []byte) (int, error)  { time.Sleep(s.d); return min(s.n, len(b)), nil }
func (s *slow) Write(b []byte) (int, error) { time.Sleep(s.d); return len(b), nil }

func TestAByteASecondLessThanTheLeastRateIsTooSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for n, want := range map[int]error{100: nil, 99: ErrTooSlow} {
			c := Least(&slow{n: n, d: time.Second}, 100, time.Minute)
			began := time.Now()
			var err error
			for time.Since(began) < 5*time.Minute && err == nil {
				_, err = c.Read(make([]byte, 1000))
			}
			if !errors.Is(err, want) {
				t.Errorf("%d bytes a second: %v", n, err)
			}
			if want != nil && time.Since(began) != time.Minute {
				t.Errorf("ended after %v", time.Since(began))
			}
		}
	})
}

func TestADripOfAByteAMinuteIsTooSlowAndAWriterToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Least(&slow{n: 1, d: 59 * time.Second}, 1, time.Minute)
		c.Read(make([]byte, 1))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrTooSlow) {
			t.Errorf("a byte a minute: %v", err)
		}
		c = Least(&slow{d: time.Minute}, 2000, time.Minute)
		if n, err := c.Write(make([]byte, piece+1)); !errors.Is(err, ErrTooSlow) || n != piece {
			t.Errorf("a reader of %d bytes a minute: %d, %v", piece, n, err)
		}
		if c := Least(&slow{n: 1, d: time.Hour}, 0, time.Minute); c.(*slow).n != 1 {
			t.Error("a floor of nothing is one")
		}
	})
}

// What an account's own rate takes is not the peer's doing.
func TestTimeThatTheOwnerTakesDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Least(&slow{n: 10, d: time.Millisecond}, 1000, time.Minute)
		for range 100 {
			if _, err := c.Read(make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
		}
	})
}
