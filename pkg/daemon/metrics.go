package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ftps/pkg/event"
	"ftps/pkg/fault"
	"ftps/pkg/ftpserver"
	"ftps/pkg/hook"
	"ftps/pkg/limit"
)

// metrics are a sink that counts for Prometheus, and the port where it reads.
// Accounts, addresses and paths are no labels: there are too many of them,
// and they are nobody's business. Verbs are those of the table of commands.
type metrics struct {
	l        net.Listener
	most     int // connections at once
	registry *prometheus.Registry
	handler  http.Handler

	kicked, banned, troubles, dataRefused prometheus.Counter

	connections, logins, transfers, bytes, bound, handshakes, failures, refused *prometheus.CounterVec

	seconds *prometheus.HistogramVec
}

// openMetrics binds the port of /metrics and /healthz, if one is wanted.
func (d *Daemon) openMetrics() error {
	if d.cfg.Metrics == "" {
		return nil
	}
	l := d.sockets.take(forMetrics, d.cfg.Metrics)
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", d.cfg.Metrics); err != nil {
			return fault.Wrap(err, "cli.server.metrics.failed", d.cfg.Metrics, err)
		}
		d.sockets.note(forMetrics, d.cfg.Metrics, l)
	}
	if at := addrPort(l); !at.Addr().IsLoopback() {
		d.log.Warn("metrics-open", "address", at.String(), "cause", d.text("cli.server.metrics.open", at))
	} else {
		d.log.Info("metrics", "address", at.String())
	}
	d.metrics = newMetrics(d, l)
	d.metrics.watch(d)
	return nil
}

func newMetrics(d *Daemon, l net.Listener) *metrics {
	m := &metrics{l: l, most: scrapersMost, registry: prometheus.NewRegistry()}
	one := func(name string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "ftps_" + name, Help: d.metricHelp(name)})
		m.registry.MustRegister(c)
		return c
	}
	many := func(name string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ftps_" + name, Help: d.metricHelp(name)}, labels)
		m.registry.MustRegister(c)
		return c
	}
	m.kicked = one("kicked_total")
	m.banned = one("bans_total")
	m.troubles = one("troubles_total")
	m.dataRefused = one("data_connections_refused_total")
	m.connections = many("connections_total", "outcome")
	m.logins = many("logins_total", "outcome")
	m.transfers = many("transfers_total", "direction", "verdict")
	m.bytes = many("transfer_bytes_total", "direction")
	m.bound = many("transfers_bound_total", "bound")
	m.handshakes = many("tls_handshakes_total", "version", "resumed")
	m.failures = many("tls_handshake_failures_total", "connection")
	m.refused = many("replies_refused_total", "verb", "code")
	m.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "ftps_transfer_seconds", Help: d.metricHelp("transfer_seconds"),
		Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 30, 100, 300, 1000, 3000},
	}, []string{"direction"})
	m.registry.MustRegister(m.seconds)

	// Whoever watches a rate wants a zero before the first event.
	for _, outcome := range []string{"admitted", "refused"} {
		m.connections.WithLabelValues(outcome)
	}
	for _, outcome := range []string{"accepted", "refused", "slowed", "full"} {
		m.logins.WithLabelValues(outcome)
	}
	for to := event.Download; to <= event.Listing; to++ {
		for _, verdict := range []string{whole, failed} {
			m.transfers.WithLabelValues(to.String(), verdict)
		}
		m.bytes.WithLabelValues(to.String())
		m.seconds.WithLabelValues(to.String())
	}
	for _, bound := range []string{"session", "account", "none"} {
		m.bound.WithLabelValues(bound)
	}
	m.failures.WithLabelValues("control")
	m.failures.WithLabelValues("data")
	return m
}

const (
	whole  = "whole"
	failed = "failed"
)

func (d *Daemon) metricHelp(name string) string { return d.text("console.metric." + name) }

// watch adds what is read from the daemon when somebody asks.
func (m *metrics) watch(d *Daemon) {
	gauge := func(name string, read func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ftps_" + name, Help: d.metricHelp(name)}, read))
	}
	gauge("goroutines", func() float64 { return float64(runtime.NumGoroutine()) })
	gauge("sessions", func() float64 { return float64(len(d.server.Sessions())) })
	gauge("sessions_logged_in", func() float64 {
		n := 0
		for _, s := range d.server.Sessions() {
			if s.User != "" {
				n++
			}
		}
		return float64(n)
	})
	gauge("bans", func() float64 { return float64(len(d.Bans())) })
	gauge("accounts", func() float64 { return float64(d.Accounts()) })
	gauge("accounts_stale", func() float64 {
		return truth(d.usersFault.Load() != nil)
	})
	gauge("draining", func() float64 { return truth(d.draining.Load()) })
	gauge("certificate_expires_timestamp_seconds", func() float64 {
		return float64(d.keeper.Expires().Unix())
	})
	gauge("certificates_expiring", func() float64 { return float64(len(d.keeper.Expiring(time.Now()))) })
	gauge("start_timestamp_seconds", func() float64 {
		return float64(d.counters.since.UnixMilli()) / 1000
	})
	for kind, read := range map[string]func() int64{
		"chatter": func() int64 { return d.queue.missed().chatter },
		"audit":   func() int64 { return d.queue.missed().audit },
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ftps_events_lost_total", Help: d.metricHelp("events_lost_total"), ConstLabels: prometheus.Labels{"kind": kind},
		}, func() float64 { return float64(read()) }))
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ftps_build_info", Help: d.metricHelp("build_info"),
		ConstLabels: prometheus.Labels{"version": d.cfg.Version},
	}, func() float64 { return 1 }))

	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", d.health)
	m.handler = mux
}

// watchHook adds what became of the events that somebody was to be told of.
func (m *metrics) watchHook(d *Daemon, h told) {
	for outcome, read := range map[string]func(hook.Counts) int64{
		"delivered": func(c hook.Counts) int64 { return c.Delivered },
		"failed":    func(c hook.Counts) int64 { return c.Failed },
		"lost":      func(c hook.Counts) int64 { return c.Lost },
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ftps_hook_events_total", Help: d.metricHelp("hook_events_total"),
			ConstLabels: prometheus.Labels{"hook": h.name, "outcome": outcome},
		}, func() float64 { return float64(read(h.Counts())) }))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// health answers whether to send clients here. An old list of accounts is no
// reason not to; it is said, without what is wrong with the file.
func (d *Daemon) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case d.draining.Load():
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "draining")
		return
	case d.usersFault.Load() != nil:
		fmt.Fprintln(w, d.text("console.health.stale"))
	default:
		fmt.Fprintln(w, "ok")
	}
	if d.wall != nil {
		fmt.Fprintln(w, d.text("wall.on", d.wall.ABI))
	}
}

// serve answers until ctx ends.
func (m *metrics) serve(ctx context.Context) error {
	server := &http.Server{
		Handler:           m.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute, // a scrape comes every minute or less
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(newFew(m.l, m.most)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Handle implements [event.Sink].
func (m *metrics) Handle(e event.Event) {
	switch e := e.(type) {
	case event.Connected:
		if e.Refused != nil {
			m.connections.WithLabelValues("refused").Inc()
		} else {
			m.connections.WithLabelValues("admitted").Inc()
		}
	case event.TurnedAway:
		m.connections.WithLabelValues("refused").Add(float64(e.Number))
	case event.Secured:
		m.handshakes.WithLabelValues(tls.VersionName(e.Version), strconv.FormatBool(e.Resumed)).Inc()
	case event.HandshakeFailed:
		kind := "control"
		if e.Data {
			kind = "data"
		}
		m.failures.WithLabelValues(kind).Inc()
	case event.LoggedIn:
		m.logins.WithLabelValues("accepted").Inc()
	case event.LoginFailed:
		m.logins.WithLabelValues(outcome(e.Cause)).Inc()
	case event.CommandRefused:
		m.refuse(e.Verb, e.Code)
	case event.DataRefused:
		m.dataRefused.Inc()
	case event.TransferDone:
		m.transferred(e)
	case event.Kicked:
		m.kicked.Inc()
	case event.Banned:
		m.banned.Inc()
	case event.Trouble:
		m.troubles.Inc()
	}
}

// outcome is why a login was refused, as far as it matters for the numbers:
// by the account, because the address guesses, or because there is no room.
func outcome(cause error) string {
	switch {
	case errors.Is(cause, limit.ErrTooManyFailures):
		return "slowed"
	case errors.Is(cause, ftpserver.ErrSessions):
		return "full"
	}
	return "refused"
}

func (m *metrics) refuse(verb string, code int) {
	if verb == "" {
		verb = "unknown"
	}
	m.refused.WithLabelValues(verb, strconv.Itoa(code)).Inc()
}

func (m *metrics) transferred(e event.TransferDone) {
	direction := e.Direction.String()
	m.bytes.WithLabelValues(direction).Add(float64(e.Bytes))
	if e.Bound != "" {
		m.bound.WithLabelValues(e.Bound).Inc()
	}
	if e.Code >= 400 {
		m.transfers.WithLabelValues(direction, failed).Inc()
		m.refuse(e.Verb, e.Code)
		return
	}
	m.transfers.WithLabelValues(direction, whole).Inc()
	m.seconds.WithLabelValues(direction).Observe(e.Duration.Seconds())
}
