//go:build interop

package integration

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

var scrapeTime = flag.Duration("scrape", 15*time.Second, "how long Prometheus watches a server under load")

// A real Prometheus watches a server under load: what it has at the end is
// what the clients counted.
func TestPrometheusHasTheNumbersThatTheClientsCounted(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(watchers(t), "watchers", "usr", "bin")
	metrics, port := freePorts(t, 1)[0], freePorts(t, 1)[0]
	s := startServer(t, []string{"diego", "secreto"}, "--no-fsync", "--metrics", fmt.Sprintf("127.0.0.1:%d", metrics))

	dir := t.TempDir()
	rules, err := filepath.Abs("../scripts/alerts.yml")
	must(t, err)
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%s]\n"+
		"scrape_configs:\n  - job_name: ftps\n    static_configs: [{targets: ['127.0.0.1:%d']}]\n", rules, metrics)
	must(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600))
	for _, args := range [][]string{{"check", "rules", rules}, {"check", "config", "prometheus.yml"}} {
		cmd := exec.Command(filepath.Join(bin, "promtool"), args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	out := start(t, dir, nil, filepath.Join(bin, "prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data",
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port))
	out.wait(t, `Server is ready to receive web requests`)

	f, stop := &fleet{}, make(chan struct{})
	time.AfterFunc(*scrapeTime, func() { close(stop) })
	f.sail(s, 20, stop)
	for _, err := range f.failed {
		t.Error(err)
	}
	if _, _, code := s.client(t, "diego", "wrong", "pwd"); code != 4 {
		t.Errorf("a wrong password: exit %d", code)
	}

	// The page is in order, and its numbers may be read by name.
	answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", metrics))
	must(t, err)
	defer answer.Body.Close()
	check := exec.Command(filepath.Join(bin, "promtool"), "check", "metrics")
	check.Stdin = answer.Body
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}

	for query, want := range map[string]int64{
		`ftps_transfers_total{direction="upload",verdict="whole"}`:   f.uploads.Load(),
		`ftps_transfers_total{direction="download",verdict="whole"}`: f.downloads.Load(),
		`sum(ftps_transfers_total{verdict="failed"})`:                0,
		`ftps_transfer_bytes_total{direction="upload"}`:              f.bytesUp.Load(),
		`ftps_transfer_bytes_total{direction="download"}`:            f.bytesDown.Load(),
		`ftps_logins_total{outcome="accepted"}`:                      f.logins.Load(),
		`ftps_logins_total{outcome="refused"}`:                       1,
		`ftps_connections_total{outcome="admitted"}`:                 f.logins.Load() + 1,
		`ftps_connections_total{outcome="refused"}`:                  0,
		`sum(ftps_tls_handshakes_total)`:                             f.logins.Load() + 1,
		`ftps_transfer_seconds_count{direction="upload"}`:            f.uploads.Load(),
		`sum(ftps_transfers_bound_total{bound="session"})`:           f.uploads.Load() + f.downloads.Load(),
		`ftps_sessions`: 0,
		`ftps_bans`:     0,
		`count(ALERTS{alertstate="firing"}) or vector(0)`: 0,
		`sum(ftps_replies_refused_total{verb="PASS"})`:    1,
	} {
		awaitQuery(t, port, query, want)
	}
	t.Logf("%d logins, %d uploads, %d downloads", f.logins.Load(), f.uploads.Load(), f.downloads.Load())
}

// awaitQuery waits until Prometheus, which scrapes every second, has a value.
func awaitQuery(t *testing.T, port int, query string, want int64) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/api/v1/query?query=%s", port, url.QueryEscape(query)))
		must(t, err)
		var v struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		err = json.NewDecoder(answer.Body).Decode(&v)
		answer.Body.Close()
		must(t, err)
		if len(v.Data.Result) == 1 {
			got, _ = v.Data.Result[0].Value[1].(string)
			if n, err := strconv.ParseFloat(got, 64); err == nil && n == float64(want) {
				return
			}
		}
	}
	t.Errorf("%s is %s, want %d", query, got, want)
}
