package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"ftps/pkg/fault"
)

// Signature is the header with the HMAC-SHA256 of the body under the secret,
// as "sha256=" and hexadecimal digits. The body has the time and an id of its
// own, so that who checks it can refuse an old one and one it has seen.
const Signature = "Ftps-Signature"

// minSecret is how long a secret must be, in bytes: what is shorter can be
// guessed from one signed body.
const minSecret = 16

// WebhookOptions say where to tell what happened.
type WebhookOptions struct {
	URL    string // https, or http on loopback
	Secret []byte
	Agent  string
	Client *http.Client // nil is one that verifies and follows nothing
	Failed func(error)  // a note was given up; or nil

	tries int           // tests alone
	pause time.Duration // before the second try; tests alone
}

// Webhook posts each note as JSON. They are told in order, one at a time; one
// that is not taken is tried again, with longer and longer pauses, and given
// up after some minutes.
type Webhook struct {
	queue
	opt WebhookOptions
}

const (
	webhookTime  = 10 * time.Second // for one try
	webhookTries = 8
	webhookPause = time.Second // before the second try; twice as long before each that follows
)

// NewWebhook checks the options and sets the webhook going.
func NewWebhook(o WebhookOptions) (*Webhook, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && onLoopback(u.Hostname())) {
		return nil, fault.New("hook.url", o.URL)
	}
	if len(o.Secret) < minSecret {
		return nil, fault.New("hook.secret", minSecret)
	}
	if o.Client == nil {
		o.Client = &http.Client{
			Timeout: webhookTime,
			// Another place was not meant to hear of it.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if o.tries == 0 {
		o.tries, o.pause = webhookTries, webhookPause
	}
	w := &Webhook{opt: o}
	w.begin(1, queueLength, w.tell)
	return w, nil
}

func onLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// tell posts a note until it is taken.
func (w *Webhook) tell(ctx context.Context, n Note) error {
	body, err := json.Marshal(n)
	if err != nil {
		return err
	}
	pause := w.opt.pause
	for try := 1; ; try++ {
		again, err := w.post(ctx, n.ID, body)
		if err == nil {
			return nil
		}
		if !again || try >= w.opt.tries || ctx.Err() != nil {
			if w.opt.Failed != nil {
				w.opt.Failed(fault.Wrap(err, "hook.webhook.failed", n.Event, n.ID, try, err))
			}
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// Sign returns the value of the header Signature for a body.
func Sign(secret, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// post tries once; again says whether another try may help.
func (w *Webhook) post(ctx context.Context, id string, body []byte) (again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.opt.URL, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", w.opt.Agent)
	r.Header.Set("Ftps-Id", id)
	r.Header.Set(Signature, Sign(w.opt.Secret, body))
	answer, err := w.opt.Client.Do(r)
	if err != nil {
		var inner *url.Error // names the address, which may have a secret in it
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return true, err
	}
	defer answer.Body.Close()
	io.CopyN(io.Discard, answer.Body, 4096) // so that the connection can be used again
	switch code := answer.StatusCode; {
	case code < 300:
		return false, nil
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooManyRequests:
		return true, fmt.Errorf("HTTP %d", code)
	default:
		return false, fmt.Errorf("HTTP %d", code)
	}
}
