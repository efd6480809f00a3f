//go:build interop

package integration

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"ftps/pkg/ftptest"
)

const (
	storeKey    = "ftps-test"
	storeSecret = "ftps-test-secret"
	storeBucket = "files"
)

// objectStore is a real store of the test's own.
type objectStore struct {
	t       *testing.T
	kind    string
	dir     string
	address string
	cmd     *exec.Cmd
	client  *minio.Core
}

// startStore starts MinIO as four drives with erasure coding, or versitygw
// over a folder; scripts/s3 builds both.
func startStore(t *testing.T, kind string) *objectStore {
	t.Helper()
	return startStoreAt(t, kind, fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0]))
}

func startStoreAt(t *testing.T, kind, address string) *objectStore {
	t.Helper()
	s := &objectStore{t: t, kind: kind, dir: t.TempDir(), address: address}
	for _, d := range []string{"d1", "d2", "d3", "d4"} {
		must(t, os.Mkdir(filepath.Join(s.dir, d), 0o755))
	}
	client, err := minio.NewCore(s.address, &minio.Options{Creds: credentials.NewStaticV4(storeKey, storeSecret, ""), Region: "us-east-1"})
	must(t, err)
	s.client = client
	s.start()
	t.Cleanup(s.kill)
	if kind == "versitygw" {
		must(t, client.MakeBucket(t.Context(), storeBucket, minio.MakeBucketOptions{}))
		return s
	}
	must(t, client.MakeBucket(t.Context(), storeBucket, minio.MakeBucketOptions{}))
	return s
}

// start runs the store and waits until it answers.
func (s *objectStore) start() {
	s.t.Helper()
	variable := map[string]string{"minio": "FTPS_MINIO", "versitygw": "FTPS_VERSITYGW"}[s.kind]
	program := os.Getenv(variable)
	if program == "" {
		s.t.Fatalf("%s names no program: run scripts/s3", variable)
	}
	switch s.kind {
	case "minio":
		s.cmd = exec.Command(program, "server", "--quiet", "--address", s.address, filepath.Join(s.dir, "d{1...4}"))
		s.cmd.Env = append(cleanEnv(s.dir), "MINIO_ROOT_USER="+storeKey, "MINIO_ROOT_PASSWORD="+storeSecret, "MINIO_CI_CD=1", "MINIO_BROWSER=off")
	case "versitygw":
		s.cmd = exec.Command(program, "--port", s.address, "posix", filepath.Join(s.dir, "d1"))
		s.cmd.Env = append(cleanEnv(s.dir), "ROOT_ACCESS_KEY="+storeKey, "ROOT_SECRET_KEY="+storeSecret)
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(s.t, err)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	must(s.t, s.cmd.Start())
	log.Close()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
		_, err := s.client.ListBuckets(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Fatalf("%s does not answer: %v\n%s", s.kind, err, said)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// kill ends the store as a power cut would.
func (s *objectStore) kill() {
	s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// startSite serves two accounts whose homes are in the store, which at
// answers for.
func (s *objectStore) startSite(at string, args ...string) *site {
	s.t.Helper()
	t, dir := s.t, s.t.TempDir()
	s.settings(dir, at)
	for _, account := range [][]string{{strictUser}, {lenientUser, "--session-reuse", "prefer"}} {
		add := append([]string{"useradd"}, append(account, "--home", "s3://"+storeBucket+"/"+account[0]+"/", "--password-stdin", "--cost", "4")...)
		if _, errs, code := run(t, dir, peerPassword+"\n", add...); code != 0 {
			t.Fatalf("useradd %s: exit %d: %s", account[0], code, errs)
		}
	}
	return &site{serveIn(t, dir, append([]string{"--lang", "en"}, args...)...), filepath.Join(dir, "certs", "server.crt")}
}

func (s *objectStore) settings(dir, at string) {
	text := fmt.Sprintf("s3_endpoint: http://%s\ns3_region: us-east-1\ns3_in_clear: true\ns3_access_key: %s\ns3_secret_key: %s\n", at, storeKey, storeSecret)
	must(s.t, os.WriteFile(filepath.Join(dir, "ftps.yaml"), []byte(text), 0o600))
}

// tidy fails the test where the store holds pieces of an upload that nobody
// can go on from.
func (s *objectStore) tidy(target string, records int) {
	s.t.Helper()
	found := 0
	for o := range s.client.ListObjectsIter(s.t.Context(), storeBucket, minio.ListObjectsOptions{Recursive: true}) {
		must(s.t, o.Err)
		if strings.Contains(o.Key, ".ftps-parts/") {
			found++
		}
	}
	if found != records {
		s.t.Errorf("%d records of broken uploads, want %d", found, records)
	}
	page, err := s.client.ListMultipartUploads(s.t.Context(), storeBucket, target, "", "", "", 1000)
	must(s.t, err)
	if len(page.Uploads) != records {
		s.t.Errorf("%d unfinished uploads of %s in the store, want %d", len(page.Uploads), target, records)
	}
}

// dialStrict logs in to a site, command by command.
func (s *site) dialStrict(t *testing.T) *ftptest.Conn {
	t.Helper()
	c := ftptest.Connect(t, netip.MustParseAddrPort("127.0.0.1:"+s.port), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	c.Expect(220)
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	c.Login(strictUser, peerPassword)
	return c
}

func storeURL(at string) *url.URL { return &url.URL{Scheme: "http", Host: at} }

// awaitPieces waits until the store holds a piece of an upload, and the
// upload's record.
func (s *objectStore) awaitPieces(target string) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		page, err := s.client.ListMultipartUploads(s.t.Context(), storeBucket, target, "", "", "", 1000)
		must(s.t, err)
		for _, u := range page.Uploads {
			parts, err := s.client.ListObjectParts(s.t.Context(), storeBucket, target, u.UploadID, 0, 1000)
			if err == nil && len(parts.ObjectParts) > 0 && parts.ObjectParts[0].PartNumber == 1 {
				return
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("no piece of %s arrives", target)
		}
	}
}
