package limit

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// ScorePolicy is how what an address did wrong adds up to a ban. Zero fields
// take the defaults, but for Limit, where zero bans nobody.
type ScorePolicy struct {
	Limit   int            // the score that bans; 0 is never
	Span    time.Duration  // how long the first ban lasts; each further one twice as long; 10 min
	Most    time.Duration  // the longest ban; 24 h, or Span if that is longer
	Forget  time.Duration  // a score of Limit is forgotten in this time, evenly; 30 min
	Never   []netip.Prefix // addresses that are not scored
	Entries int            // addresses remembered; 16,384
}

func (p ScorePolicy) withDefaults() ScorePolicy {
	if p.Span <= 0 {
		p.Span = 10 * time.Minute
	}
	if p.Most <= 0 {
		p.Most = 24 * time.Hour
	}
	p.Most = max(p.Most, p.Span)
	if p.Forget <= 0 {
		p.Forget = 30 * time.Minute
	}
	if p.Entries <= 0 {
		p.Entries = 16384
	}
	return p
}

// Scores adds up what addresses do wrong, IPv6 ones by their /64, and says
// when one is to be banned and for how long. It bans nobody itself. Time
// forgets a score, and in the end that there was a ban.
type Scores struct {
	mu      sync.Mutex
	policy  ScorePolicy
	entries map[netip.Addr]*list.Element
	order   *list.List                  // of *score, the longest quiet in front
	network func(netip.Addr) netip.Addr // whose score it is
}

type score struct {
	addr   netip.Addr
	points int
	at     time.Time // up to when points was brought
	bans   int       // so many, of which time forgets one in each Most
	banned time.Time // when the last one ended, or will
}

// NewScores returns an empty record.
func NewScores(policy ScorePolicy) *Scores {
	return &Scores{
		policy:  policy.withDefaults(),
		entries: make(map[netip.Addr]*list.Element),
		order:   list.New(),
		network: Network,
	}
}

// Policy changes the policy; scores stay.
func (s *Scores) Policy(policy ScorePolicy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy = policy.withDefaults()
}

// Add adds points to the score of addr. Once the score has reached the limit
// it returns for how long addr is to be banned, and begins anew; else 0.
func (s *Scores) Add(addr netip.Addr, points int) (ban time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.policy.Limit <= 0 || points <= 0 || !addr.IsValid() || s.never(addr) {
		return 0
	}
	now := time.Now()
	e := s.entry(s.network(addr), now)
	e.points += points
	if e.points < s.policy.Limit {
		return 0
	}
	ban = s.policy.Span
	for range e.bans {
		if ban *= 2; ban >= s.policy.Most {
			ban = s.policy.Most
			break
		}
	}
	e.points, e.bans, e.banned = 0, e.bans+1, now.Add(ban)
	return ban
}

// Spares reports whether addr has no score.
func (s *Scores) Spares(addr netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.never(addr)
}

func (s *Scores) never(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(s.policy.Never, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// entry returns what is known of an address, less what time has forgotten.
// The caller holds the lock.
func (s *Scores) entry(addr netip.Addr, now time.Time) *score {
	at, known := s.entries[addr]
	if !known {
		if len(s.entries) >= s.policy.Entries {
			oldest := s.order.Front()
			delete(s.entries, oldest.Value.(*score).addr)
			s.order.Remove(oldest)
		}
		e := &score{addr: addr, at: now}
		s.entries[addr] = s.order.PushBack(e)
		return e
	}
	s.order.MoveToBack(at)
	e := at.Value.(*score)
	if e.points == 0 || s.policy.Limit == 0 {
		e.at = now
	} else {
		each := max(1, s.policy.Forget/time.Duration(s.policy.Limit)) // one point is forgotten in
		forgotten := min(int(now.Sub(e.at)/each), e.points)
		e.points -= forgotten
		e.at = e.at.Add(time.Duration(forgotten) * each)
	}
	if quiet := now.Sub(e.banned); e.bans > 0 && quiet > 0 {
		forgotten := min(int(quiet/s.policy.Most), e.bans)
		e.bans -= forgotten
		e.banned = e.banned.Add(time.Duration(forgotten) * s.policy.Most)
	}
	return e
}

// Points returns what stands against addr now.
func (s *Scores) Points(addr netip.Addr) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.entries[s.network(addr)]; !known {
		return 0
	}
	return s.entry(s.network(addr), time.Now()).points
}

// Forget forgives an address all that stands against it.
func (s *Scores) Forget(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	addr = s.network(addr)
	if at, known := s.entries[addr]; known {
		s.order.Remove(at)
		delete(s.entries, addr)
	}
}
