package dataport

import "time"

// spell is a stretch of time as this process lived it. Where the machine
// stands still, its disk or its hypervisor, all clocks run out at once, and
// what came meanwhile lies unread: commands in their sockets, connections in
// the backlog. So whoever waits looks at the clock in steps, and a gap counts
// as one of them. What has come is heard before anybody is out of time.
type spell struct {
	last time.Time
	step time.Duration // the most that counts between two looks
	sum  time.Duration
}

// startSpell begins one that is looked at every so often.
func startSpell(every time.Duration) *spell {
	return &spell{last: time.Now(), step: 2 * every}
}

// pass returns how long it is by now.
func (s *spell) pass(now time.Time) time.Duration {
	s.sum += max(0, min(now.Sub(s.last), s.step))
	s.last = now
	return s.sum
}
