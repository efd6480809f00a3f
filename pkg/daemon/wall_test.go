//go:build linux

package daemon

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ftps/pkg/catalog"
	"ftps/pkg/pki"
	"ftps/pkg/users"
	"ftps/pkg/wall"
)

// shutIn makes this test binary a server in the folder that it names, which
// looks around once it stands: a wall cannot be taken down again.
const shutIn = "FTPS_DAEMON_SHUT_IN"

// lookedAround does so, if that is what this process is for.
func lookedAround() bool {
	dir := os.Getenv(shutIn)
	if dir == "" {
		return false
	}
	os.Unsetenv(shutIn)
	lookAround(dir)
	return true
}

// surroundings is what a server could reach after its start.
type surroundings struct {
	Version int
	Error   string
	Opens   map[string]bool
	Outside string // why a list with a home outside is refused
	Inside  string // why one with a home inside is
}

func lookAround(dir string) {
	at := func(name string) string { return filepath.Join(dir, name) }
	var s surroundings
	d, err := New(Config{
		Host: "127.0.0.1", ImplicitPort: Off, AllowRoot: true,
		RootDir: at("srv"), Users: at("accounts/users.yaml"),
		Certs: []pki.Files{{Cert: at("certs/server.crt"), Key: at("certs/server.key")}}, MakeCert: true,
		Wall: wall.Mode(os.Getenv("MODE")), PublicIP: os.Getenv("PUBLIC"), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.Error = err.Error()
	} else {
		s.Version = d.Stats().Wall
		s.Opens = make(map[string]bool)
		for _, name := range []string{"/etc/passwd", at("secret"), at("srv/diego/file"), at("far/file"),
			at("accounts/users.yaml"), at("certs/server.key")} {
			f, err := os.Open(name)
			s.Opens[name] = !errors.Is(err, fs.ErrPermission)
			if err == nil {
				f.Close()
			}
		}
		for home, why := range map[string]*string{at("elsewhere"): &s.Outside, at("far/below"): &s.Inside} {
			if err := d.admits(users.NewList(users.User{Name: "eva", Home: home})); err != nil {
				*why = catalog.Explain(catalog.English, err)
			}
		}
		d.listeners.close()
	}
	json.NewEncoder(os.Stdout).Encode(s)
}

func startShutIn(t *testing.T, mode, public string) (s surroundings, at func(string) string) {
	t.Helper()
	if wall.ABI() < 3 {
		t.Skipf("this kernel's Landlock is version %d", wall.ABI())
	}
	dir := t.TempDir()
	at = func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"srv/diego/file", "far/file", "secret", "elsewhere/file"} {
		if err := os.MkdirAll(filepath.Dir(at(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(at("accounts"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := users.File{Path: at("accounts/users.yaml")}
	for _, u := range []users.User{account("diego"), account("eva")} {
		if u.Name == "eva" {
			u.Home = at("far")
		}
		if _, err := file.Add(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), shutIn+"="+dir, "MODE="+mode, "PUBLIC="+public)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &s); err != nil || s.Error != "" {
		t.Fatalf("%v %s: %s", err, s.Error, out)
	}
	return s, at
}

// With the wall off the same process opens the same files: that is the attack
// with the defence switched off.
func TestAServerThatIsTakenOverReachesOnlyItsFolders(t *testing.T) {
	for mode, shut := range map[string]bool{"off": false, "auto": true, "require": true} {
		t.Run(mode, func(t *testing.T) {
			s, at := startShutIn(t, mode, "")
			if (s.Version > 0) != shut {
				t.Errorf("Landlock %d", s.Version)
			}
			for name, inside := range map[string]bool{
				"/etc/passwd": false, at("secret"): false,
				at("srv/diego/file"): true, at("far/file"): true,
				at("accounts/users.yaml"): true, at("certs/server.key"): true,
			} {
				if s.Opens[name] != (inside || !shut) {
					t.Errorf("%s: opened is %v", name, s.Opens[name])
				}
			}
			if refused := strings.Contains(s.Outside, "needs a restart"); refused != shut {
				t.Errorf("a home outside: %q", s.Outside)
			}
			if s.Inside != "" {
				t.Errorf("a home inside: %q", s.Inside)
			}
		})
	}
}

// Only a name has to be looked up, and only then is the resolver's folder
// open.
func TestTheResolversFolderIsInReachWhereANameIsLookedUp(t *testing.T) {
	s, _ := startShutIn(t, "require", "localhost")
	if !s.Opens["/etc/passwd"] { // beside /etc/resolv.conf
		t.Error("the resolver's folder is out of reach")
	}
}

func TestAHomeThatIsALinkOutOfTheRootIsInReach(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"srv/eva", "disk"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../disk", filepath.Join(dir, "srv/diego")); err != nil {
		t.Fatal(err)
	}
	d := &Daemon{cfg: Config{RootDir: filepath.Join(dir, "srv"), Users: filepath.Join(dir, "users.yaml")}, public: newPublic("192.0.2.1")}
	var homes []string
	for _, f := range d.folders(users.NewList(account("diego"), account("eva"))) {
		if f.For == "homes" {
			homes = append(homes, strings.TrimPrefix(f.Path, dir))
		}
	}
	if got := strings.Join(homes, " "); got != "/srv /srv/diego" {
		t.Errorf("the homes' folders are %s", got)
	}
}
