package ftpclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Again reports whether what failed so may go well on a new connection: the
// network broke, or the server said 421, 425 or 426. What it refuses (530,
// 452, 552 and the like) it would refuse again.
func Again(err error) bool {
	for _, target := range []error{
		ErrLost, ErrConnect, ErrTruncated, ErrStalled, ErrTimeout, ErrDataLost, ErrUnconfirmed, ErrClosed,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	var reply *ReplyError
	if !errors.As(err, &reply) {
		return broken(err)
	}
	switch reply.Reply.Code {
	case 421, 425, 426:
		return true
	case 450:
		// The server has not let go yet of the upload that broke off.
		return reply.Command == "STOR"
	}
	return false
}

// longestPause bounds what [Pause] waits.
const longestPause = 30 * time.Second

// Pause waits before another try, or for the end of ctx, whose error it
// returns: up to a second before the first (0), twice that before each
// further one, and no longer than 30 s. Chance takes away up to a half, so
// that clients which were cut off together do not come back together.
func Pause(ctx context.Context, attempt int) error {
	d := min(time.Second<<min(attempt, 10), longestPause)
	d -= rand.N(d / 2)
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
