//go:build interop && linux

package integration

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ftps/pkg/ftptest"
)

// Two servers before one store, each in a network namespace of its own behind
// one bridge; the store listens on the bridge. The clients know one address
// alone, which lies at one node or at the other, as a balancer by address, or
// a service address that fails over, has it.

// cluster is that network, and what both nodes are given.
type cluster struct {
	t       *testing.T
	store   *objectStore
	port    string
	bridge  string
	address string // that of the service
	shared  string // folder of users.yaml, certificate, ticket keys
	nodes   [2]*node
	serving *node
}

type node struct {
	*site
	space, address, dir, script string
}

// ip runs a command of iproute2.
func ip(t *testing.T, words ...string) {
	t.Helper()
	if out, err := exec.Command("ip", words...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(words, " "), err, out)
	}
}

func startCluster(t *testing.T, kind string) *cluster {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("network namespaces need root: run scripts/s3 as root")
	}
	number := os.Getpid() % 10000
	network := fmt.Sprintf("198.18.%d.", number%250) // RFC 2544: for such tests
	f := &cluster{t: t, bridge: fmt.Sprintf("fb%d", number), address: network + "10", port: "5000", shared: t.TempDir()}
	ip(t, "link", "add", f.bridge, "type", "bridge")
	t.Cleanup(func() { ip(t, "link", "del", f.bridge) })
	ip(t, "addr", "add", network+"1/24", "dev", f.bridge)
	ip(t, "link", "set", f.bridge, "up")
	for i := range f.nodes {
		n := &node{space: fmt.Sprintf("ftps%d-%d", number, i), address: network + fmt.Sprint(2+i), dir: t.TempDir()}
		link := fmt.Sprintf("fv%d-%d", number, i)
		ip(t, "netns", "add", n.space)
		t.Cleanup(func() { ip(t, "netns", "del", n.space) })
		ip(t, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", n.space)
		t.Cleanup(func() { _ = exec.Command("ip", "link", "del", link).Run() }) // goes with the namespace, in time
		ip(t, "link", "set", link, "master", f.bridge, "up")
		ip(t, "-n", n.space, "addr", "add", n.address+"/24", "dev", "eth0")
		ip(t, "-n", n.space, "link", "set", "eth0", "up")
		ip(t, "-n", n.space, "link", "set", "lo", "up")
		n.script = filepath.Join(n.dir, "ftps")
		must(t, os.WriteFile(n.script, []byte("#!/bin/sh\nexec ip netns exec "+n.space+" "+ftps+" \"$@\"\n"), 0o755))
		f.nodes[i] = n
	}
	f.store = startStoreAt(t, kind, fmt.Sprintf("%s1:%d", network, freePorts(t, 1)[0]))
	for _, words := range [][]string{
		{"useradd", strictUser, "--home", "s3://" + storeBucket + "/" + strictUser + "/", "--password-stdin", "--cost", "4"},
		{"cert", "make", f.address, network + "2", network + "3"},
		{"cert", "ticket-keys", "ticket.keys"},
	} {
		if _, errs, code := run(t, f.shared, peerPassword+"\n", words...); code != 0 {
			t.Fatalf("%v: exit %d: %s", words, code, errs)
		}
	}
	for _, n := range f.nodes {
		f.serve(n)
	}
	f.lead(f.nodes[0])
	return f
}

// serve starts a node, for the first time or after its death.
func (f *cluster) serve(n *node) {
	f.t.Helper()
	f.store.settings(n.dir, f.store.address)
	in := func(name string) string { return filepath.Join(f.shared, name) }
	cert := in("certs/server.crt")
	n.site = &site{serveBinary(f.t, n.script, n.dir, "-H", "0.0.0.0", "-C", f.port, "-D", "5050-5053", "--lang", "en",
		"--users", in("users.yaml"), "--cert", cert, "--key", in("certs/server.key"), "--ticket-keys", in("ticket.keys")), cert}
	n.port = f.port
}

// lead has the service's address lie at a node.
func (f *cluster) lead(n *node) {
	f.t.Helper()
	if f.serving == n {
		return
	}
	if f.serving != nil {
		ip(f.t, "-n", f.serving.space, "addr", "del", f.address+"/32", "dev", "eth0")
	}
	ip(f.t, "-n", n.space, "addr", "add", f.address+"/32", "dev", "eth0")
	ip(f.t, "neigh", "flush", "to", f.address, "dev", f.bridge)
	f.serving = n
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", f.address+":"+f.port, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("the service does not answer at %s: %v", n.address, err)
		}
	}
}

// die ends a node as a power cut would.
func (n *node) die() {
	n.cmd.Process.Signal(syscall.SIGKILL)
	<-n.done
	n.done <- nil
}

// dial logs in at an address of a node, with a client's cache of tickets.
func (f *cluster) dial(t *testing.T, address string, cache tls.ClientSessionCache) *ftptest.Conn {
	t.Helper()
	c := ftptest.Connect(t, netip.MustParseAddrPort(address+":"+f.port), &tls.Config{InsecureSkipVerify: true, ServerName: f.address})
	if cache != nil {
		c.TLS.ClientSessionCache = cache
	}
	c.Expect(220)
	c.Cmd(234, "AUTH TLS")
	c.StartTLS()
	c.Login(strictUser, peerPassword)
	return c
}

// traveller is a client that is led from node to node. Its upload is slow
// where a rate is given, in MiB a second.
type traveller struct {
	name    string
	put     func(t *testing.T, f *cluster, file, name string, rate int) error
	get     func(t *testing.T, f *cluster, name, to string) error
	returns bool // of itself, and so its upload succeeds although its node dies
}

func travellers() []traveller {
	ours := func(t *testing.T, f *cluster, words ...string) error {
		args := append([]string{"client", f.address, "-p", f.port, "--pin", f.serving.pin, "-u", strictUser, "--password-stdin"}, words...)
		if _, errs, code := runFor(t, f.serving.dir, peerPassword+"\n", 3*time.Minute, nil, args...); code != 0 {
			return fmt.Errorf("exit %d: %s", code, errs)
		}
		return nil
	}
	curl := func(t *testing.T, f *cluster, lines ...string) error {
		out, err := peerRun(t, f.serving.dir, f.serving.curlConfig(strictUser, lines...), nil, "curl", "-K", "-")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	lftp := func(t *testing.T, f *cluster, script string) error {
		out, err := f.serving.lftpAt(t, "ftp://"+f.address+":"+f.port, strictUser, script)
		if err != nil {
			return fmt.Errorf("%w: %s", err, tail(out))
		}
		return nil
	}
	url := func(f *cluster, name string) string {
		return "url = " + curlQuote("ftp://"+f.address+":"+f.port+"/"+name)
	}
	return []traveller{
		{name: "ftps client",
			put: func(t *testing.T, f *cluster, file, name string, rate int) error {
				words := []string{"--retries", "0", "put", "-c", file, name}
				if rate > 0 {
					words = append([]string{"--limit-rate", fmt.Sprintf("%dMiB", rate)}, words...)
				}
				return ours(t, f, words...)
			},
			get: func(t *testing.T, f *cluster, name, to string) error { return ours(t, f, "get", name, to) },
		},
		{name: "curl",
			put: func(t *testing.T, f *cluster, file, name string, rate int) error {
				return curl(t, f, fmt.Sprintf("limit-rate = %dM", rate), "upload-file = "+curlQuote(file), url(f, name))
			},
			get: func(t *testing.T, f *cluster, name, to string) error {
				return curl(t, f, "output = "+curlQuote(to), url(f, name))
			},
		},
		{name: "lftp", returns: true,
			put: func(t *testing.T, f *cluster, file, name string, rate int) error {
				return lftp(t, f, fmt.Sprintf("set net:limit-total-rate 0:%d\nset net:reconnect-interval-base 1\nset net:max-retries 30\nput -c %s -o %s",
					rate<<20, lftpQuote(file), lftpQuote(name)))
			},
			get: func(t *testing.T, f *cluster, name, to string) error {
				return lftp(t, f, "get "+lftpQuote(name)+" -o "+lftpQuote(to))
			},
		},
	}
}

// is fails the test where a file is not what it should be.
func is(t *testing.T, file string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(file)
	must(t, err)
	if sha256.Sum256(got) != sha256.Sum256(want) {
		t.Errorf("%s: %d bytes that are not the %d", filepath.Base(file), len(got), len(want))
	}
}

func TestS3ClientsMoveBetweenTwoServersAndOneOfThemDies(t *testing.T) {
	for _, kind := range []string{"minio", "versitygw"} {
		t.Run(kind, func(t *testing.T) { moveBetweenNodes(t, startCluster(t, kind)) })
	}
}

func moveBetweenNodes(t *testing.T, f *cluster) {
	one, two := f.nodes[0], f.nodes[1]
	small, big := seeded(3<<20, 21), seeded(40<<20, 22)
	dir := t.TempDir()
	smallFile, bigFile := filepath.Join(dir, "small"), filepath.Join(dir, "big")
	must(t, os.WriteFile(smallFile, small, 0o600))
	must(t, os.WriteFile(bigFile, big, 0o600))

	// A session of the second node, which goes on whatever befalls the first.
	stays := f.dial(t, two.address, nil)
	for _, c := range travellers() {
		t.Run(c.name, func(t *testing.T) {
			name := strings.ReplaceAll(c.name, " ", "-")
			f.lead(one)
			must(t, c.put(t, f, smallFile, name+"-small", 0))
			cache := tls.NewLRUClientSessionCache(1)
			f.dial(t, f.address, cache).Cmd(200, "NOOP")
			f.lead(two)
			if moved := f.dial(t, f.address, cache); !moved.Raw().(*tls.Conn).ConnectionState().DidResume {
				t.Error("a session of the first node is not resumed at the second")
			} else if got, code := moved.Download("RETR %s-small", name); code != 226 || !bytes.Equal(got, small) {
				t.Errorf("resumed at the second: %d, %d bytes", code, len(got))
			}
			down := filepath.Join(t.TempDir(), "down")
			must(t, c.get(t, f, name+"-small", down))
			is(t, down, small)

			f.lead(one)
			done := make(chan error, 1)
			go func() { done <- c.put(t, f, bigFile, name+"-big", 8) }()
			f.store.awaitPieces(strictUser + "/" + name + "-big")
			one.die()
			if got, code := stays.Download("RETR %s-small", name); code != 226 || !bytes.Equal(got, small) {
				t.Errorf("the other node, meanwhile: %d, %d bytes", code, len(got))
			}
			f.lead(two)
			first := <-done
			if c.returns != (first == nil) {
				t.Errorf("the upload whose node died: %v", first)
			}
			if code := stays.Upload(small, "STOR %s-meanwhile", name); code != 226 {
				t.Errorf("the other node, afterwards: %d", code)
			}
			if first != nil {
				must(t, c.put(t, f, bigFile, name+"-big", 0))
			}
			must(t, c.get(t, f, name+"-big", down+"-big"))
			is(t, down+"-big", big)
			f.store.tidy(strictUser+"/"+name+"-big", 0)
			f.serve(one)
		})
	}
}
