package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var metricName = regexp.MustCompile(`\bftps_[a-z_]+`)

// The dashboard asks for what there is.
func TestDashboardAndAlertsAskForMetricsThatExist(t *testing.T) {
	metrics := freePorts(t, 1)[0]
	hook := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, []string{"diego", "secreto"}, "--metrics", fmt.Sprintf("127.0.0.1:%d", metrics), "--hook", hook)
	if _, _, code := s.client(t, "diego", "wrong", "pwd"); code != 4 { // some numbers are there once there is something to count
		t.Fatalf("a wrong password: exit %d", code)
	}
	answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", metrics))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	page := string(body)
	for _, file := range []string{"../scripts/grafana.json", "../scripts/alerts.yml"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".json") && !json.Valid(raw) {
			t.Errorf("%s is no JSON", file)
		}
		names := metricName.FindAllString(string(raw), -1)
		if len(names) < 8 {
			t.Errorf("%s has %d names", file, len(names))
		}
		for _, name := range names {
			if !strings.Contains(page, "# TYPE "+strings.TrimSuffix(name, "_bucket")+" ") {
				t.Errorf("%s asks for %s", file, name)
			}
		}
	}
}
