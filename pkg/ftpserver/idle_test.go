package ftpserver

import (
	"testing"
	"time"
)

func TestTheIdleTimeoutIsNoShorterThanRFC1123Wants(t *testing.T) {
	// RFC 1123 §4.1.3.2: "should be at least 5 minutes".
	if got := New(Config{}).cfg.IdleTimeout; got < 5*time.Minute {
		t.Errorf("the default is %v", got)
	}
}
