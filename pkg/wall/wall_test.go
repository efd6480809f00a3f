//go:build linux

package wall_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"ftps/pkg/wall"
)

// A wall cannot be taken down: each test builds it in a process of its own,
// which is this test binary once more.
const (
	order   = "FTPS_WALL_TEST"
	nothing = "nothing" // the order of what such a process starts
)

type orders struct {
	Mode    wall.Mode
	Folders []wall.Folder
	Open    []string    // to be read
	Write   []string    // to be made, or written
	Rename  [][2]string // to be renamed
	Start   [][]string  // to be run
}

// report is for each path or command whether it was possible.
type report struct {
	Stands     bool
	Why, Error string
	Did        map[string]bool
}

func TestMain(m *testing.M) {
	// Not os.Exit: where coverage is counted that writes, and cannot here.
	switch os.Getenv(order) {
	case "":
	case nothing:
		syscall.Exit(0)
	default:
		obey()
		syscall.Exit(0)
	}
	os.Exit(m.Run())
}

func obey() {
	var o orders
	if err := json.Unmarshal([]byte(os.Getenv(order)), &o); err != nil {
		panic(err)
	}
	os.Setenv(order, nothing)
	r := report{Did: make(map[string]bool)}
	w, why, err := wall.Shut(o.Mode, o.Folders)
	r.Stands = w != nil
	if why != nil {
		r.Why = why.Error()
	}
	if err != nil {
		r.Error = err.Error()
	}
	// Another thread than the one that built it.
	runtime.LockOSThread()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, name := range o.Open {
			_, err := os.ReadFile(name)
			r.Did[name] = !errors.Is(err, fs.ErrPermission)
		}
		for _, name := range o.Write {
			r.Did["write "+name] = os.WriteFile(name, []byte("x"), 0o644) == nil
		}
		for _, pair := range o.Rename {
			r.Did["rename "+pair[0]] = os.Rename(pair[0], pair[1]) == nil
		}
		for _, words := range o.Start {
			r.Did["start "+words[0]] = exec.Command(words[0], words[1:]...).Run() == nil
		}
		status, _ := os.ReadFile("/proc/thread-self/status")
		r.Did["privileges"] = !strings.Contains(string(status), "NoNewPrivs:\t1")
	}()
	<-done
	json.NewEncoder(os.Stdout).Encode(r)
}

// behind runs orders in a new process.
func behind(t *testing.T, o orders) report {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), order+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r
}

func needLandlock(t *testing.T) {
	t.Helper()
	if wall.ABI() < 3 {
		t.Skipf("this kernel's Landlock is version %d", wall.ABI())
	}
}

// threads are what the process reads for the report.
var threads = wall.Folder{For: "test", Path: "/proc", Access: wall.Read}

func plant(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The first process is the attack with the defence switched off.
func TestBehindTheWallNothingOutsideIsReached(t *testing.T) {
	needLandlock(t)
	for _, mode := range []wall.Mode{wall.None, wall.Off, wall.Auto, wall.Require} {
		t.Run(string(mode), func(t *testing.T) {
			dir := t.TempDir()
			in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
			plant(t, in+"/a/f", in+"/b/f", out+"/f", out+"/g")
			r := behind(t, orders{
				Mode:    mode,
				Folders: []wall.Folder{threads, {For: "in", Path: in, Access: wall.Tree}},
				Open:    []string{"/etc/passwd", out + "/f", in + "/a/f"},
				Write:   []string{out + "/new", out + "/f", in + "/new", in + "/a/f"},
				Rename:  [][2]string{{in + "/a/f", in + "/b/moved"}, {out + "/g", in + "/stolen"}, {in + "/b/f", out + "/taken"}},
				Start:   [][]string{{"/bin/true"}},
			})
			shut := mode == wall.Auto || mode == wall.Require
			if r.Error != "" || r.Stands != shut {
				t.Fatalf("stands: %v, %s, %s", r.Stands, r.Why, r.Error)
			}
			for what, inside := range map[string]bool{
				"/etc/passwd": false, out + "/f": false, in + "/a/f": true,
				"write " + out + "/new": false, "write " + out + "/f": false,
				"write " + in + "/new": true, "write " + in + "/a/f": true,
				"rename " + in + "/a/f": true, "rename " + out + "/g": false, "rename " + in + "/b/f": false,
				"start /bin/true": false,
			} {
				if did := r.Did[what]; did != (inside || !shut) {
					t.Errorf("%s: %v", what, did)
				}
			}
			if r.Did["privileges"] != (mode == wall.None) {
				t.Errorf("new privileges may be had: %v", r.Did["privileges"])
			}
		})
	}
}

func TestEachAccessAllowsWhatItSays(t *testing.T) {
	needLandlock(t)
	for access, can := range map[wall.Access]struct{ read, write, run bool }{
		wall.Read:   {read: true},
		wall.Run:    {read: true, run: true},
		wall.Tree:   {read: true, write: true},
		wall.Socket: {},
		wall.Remove: {},
	} {
		t.Run(access.String(), func(t *testing.T) {
			dir := t.TempDir()
			plant(t, dir+"/f")
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			tool := filepath.Join(dir, "tool")
			if err := os.Link(self, tool); err != nil {
				content, err := os.ReadFile(self)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(tool, content, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			folders := []wall.Folder{threads, {For: "it", Path: dir, Access: access}}
			for _, f := range wall.Program() { // the loader, for one that was linked to it
				if f.For == "libraries" {
					folders = append(folders, f)
				}
			}
			r := behind(t, orders{Mode: wall.Require, Folders: folders,
				Open: []string{dir + "/f"}, Write: []string{dir + "/new"},
				Start: [][]string{{tool}}})
			if r.Did[dir+"/f"] != can.read || r.Did["write "+dir+"/new"] != can.write || r.Did["start "+tool] != can.run {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A rule on a file would lose it when an editor puts another in its place.
func TestAFileThatIsReplacedStaysInReach(t *testing.T) {
	needLandlock(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "users.yaml")
	plant(t, name, dir+"/elsewhere/new")
	var folders []wall.Folder
	for _, f := range wall.FolderOf(name) {
		folders = append(folders, wall.Folder{For: "accounts", Path: f, Access: wall.Tree})
	}
	r := behind(t, orders{Mode: wall.Require, Folders: folders,
		Rename: [][2]string{{dir + "/elsewhere/new", name}}, Open: []string{name}})
	if !r.Did[name] {
		t.Errorf("%+v", r)
	}
}

func TestFoldersOfAFileAreThoseOfItsNameAndOfWhereItLeads(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir+"/archive/cert1.pem", dir+"/plain/f")
	os.Mkdir(dir+"/live", 0o755)
	if err := os.Symlink("../archive/cert1.pem", dir+"/live/cert.pem"); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string][]string{
		dir + "/live/cert.pem": {dir + "/live", real + "/archive"},
		dir + "/plain/f":       {dir + "/plain"},
		dir + "/plain/absent":  {dir + "/plain"},
	} {
		if got := wall.FolderOf(file); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}
