package ftpclient_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ftps/pkg/ftpclient"
	"ftps/pkg/ftptest/hostile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within gives a test's dialogue a deadline.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// config is how the tests connect; change alters it.
func config(s *hostile.Server, change func(*ftpclient.Config)) ftpclient.Config {
	cfg := ftpclient.Config{
		Address:      s.Addr,
		TLS:          s.Client(),
		Timeout:      30 * time.Second,
		FinalTimeout: 30 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	return cfg
}

// dial connects without logging in.
func dial(t *testing.T, s *hostile.Server, change func(*ftpclient.Config)) *ftpclient.Conn {
	t.Helper()
	c, err := ftpclient.Dial(within(t), config(s, change))
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// login connects and logs in.
func login(t *testing.T, s *hostile.Server, change func(*ftpclient.Config)) *ftpclient.Conn {
	t.Helper()
	c := dial(t, s, change)
	if err := c.Login(within(t), hostile.User, hostile.Password); err != nil {
		t.Fatalf("Login: %v", err)
	}
	return c
}

// inStep fails the test where the connection does not answer as it should
// after whatever came before.
func inStep(t *testing.T, c *ftpclient.Conn) {
	t.Helper()
	r, err := c.Quote(within(t), "PWD")
	if err != nil || r.Code != 257 {
		t.Errorf("the control connection is out of step: PWD answered %v, %v", r, err)
	}
}
