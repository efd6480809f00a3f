package integration

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ftps/pkg/catalog"
	"ftps/pkg/config"
	"ftps/pkg/ftpserver"
)

var update = flag.Bool("update", false, "write the generated parts of the README")

const readme = "../README.md"

// block is a fenced piece of the README.
type block struct {
	info  string // what stands behind the fence
	line  int
	lines []string
}

func blocksOf(t *testing.T, page string) []block {
	t.Helper()
	f, err := os.Open(page)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var blocks []block
	var inside *block
	n := 0
	for in := bufio.NewScanner(f); in.Scan(); {
		n++
		info, fence := strings.CutPrefix(in.Text(), "```")
		switch {
		case fence && inside == nil:
			inside = &block{info: info, line: n}
		case fence:
			blocks = append(blocks, *inside)
			inside = nil
		case inside != nil:
			inside.lines = append(inside.lines, in.Text())
		}
	}
	return blocks
}

// step is a command of a transcript and what it prints.
type step struct {
	command string
	output  []string
}

func (b block) steps() []step {
	var steps []step
	for _, l := range b.lines {
		if command, ok := strings.CutPrefix(l, "$ "); ok {
			steps = append(steps, step{command: command})
		} else if len(steps) > 0 {
			last := &steps[len(steps)-1]
			last.output = append(last.output, l)
		}
	}
	return steps
}

var (
	pinForm      = regexp.MustCompile(`sha256//[A-Za-z0-9+/=]+`)
	passwordForm = regexp.MustCompile(`^([a-z0-9]{4}-){4}[a-z0-9]{4}$`)
)

// likeness turns a line of the README into a pattern: "…" is whatever, and
// pins, passwords and ports are those of the day.
func likeness(line, port string) string {
	if passwordForm.MatchString(line) {
		return passwordForm.String()
	}
	line = pinForm.ReplaceAllString(line, "…")
	line = strings.NewReplacer("5050-5065", "…", ":5000", ":"+port, "-p 5000", "-p "+port).Replace(line)
	parts := strings.Split(line, "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return "^" + strings.Join(parts, ".*") + "$"
}

// matches compares what was printed with the README's lines; a line that is
// nothing but "…" stands for any number of them.
func matches(got, want []string, port string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if want[0] == "…" {
		for i := 0; i <= len(got); i++ {
			if matches(got[i:], want[1:], port) {
				return true
			}
		}
		return false
	}
	if len(got) == 0 {
		return false
	}
	return regexp.MustCompile(likeness(want[0], port)).MatchString(got[0]) && matches(got[1:], want[1:], port)
}

// runTranscripts types the README's transcripts; see runPage.
func runTranscripts(t *testing.T, kinds ...string) { runPage(t, readme, 8, kinds...) }

// runPage types a page's transcripts, at least so many commands, in their
// order, in one folder, and holds what comes against what stands there. Blocks
// with a word of kinds behind "console" are typed too; a block "yaml NAME" is
// the content of that file.
func runPage(t *testing.T, page string, least int, kinds ...string) {
	dir := t.TempDir()
	bin := filepath.Join(dir, ".bin")
	os.Mkdir(bin, 0o755)
	if err := os.Symlink(ftps, filepath.Join(bin, "ftps")); err != nil {
		t.Fatal(err)
	}
	os.Mkdir(filepath.Join(dir, "docs"), 0o755)
	os.WriteFile(filepath.Join(dir, "docs", "a.txt"), []byte("hello\n"), 0o644)
	port, first := fmt.Sprint(freePorts(t, 1)[0]), freeRange(t, 4)
	env := append(cleanEnv(dir), "PATH="+bin+":"+os.Getenv("PATH"), "FTPS_COST=4",
		"FTPS_ADMIN_SOCKET="+filepath.Join(bin, "s"), // others serve on this machine too
		"FTPS_CONTROL_PORT="+port, "FTPS_PORT="+port, fmt.Sprintf("FTPS_DATA_PORT=%d-%d", first, first+3))
	if os.Getuid() == 0 {
		env = append(env, "FTPS_RUN_AS=root")
	}
	var pin, password string
	exit, ran := 0, 0
	for _, b := range blocksOf(t, page) {
		words := strings.Fields(b.info)
		if len(words) == 2 && words[0] == "yaml" {
			if err := os.WriteFile(filepath.Join(dir, words[1]), []byte(strings.Join(b.lines, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if len(words) == 0 || words[0] != "console" {
			continue
		}
		wanted := len(words) == 1 || words[1] == "serve"
		for _, k := range kinds {
			wanted = wanted || words[1] == k
		}
		if !wanted {
			continue
		}
		for _, st := range b.steps() {
			ran++
			command := st.command
			if pin != "" {
				command = pinForm.ReplaceAllString(command, pin)
			}
			command = strings.NewReplacer(":5000", ":"+port, ":PASSWORD", ":"+password).Replace(command)
			sh := exec.Command("bash", "-c", fmt.Sprintf("(exit %d)\n%s", exit, command))
			sh.Dir, sh.Env = dir, env
			if password != "" {
				sh.Env = append(sh.Env, "FTPS_PASSWORD="+password)
			}
			if len(words) > 1 && words[1] == "serve" {
				sh.Args[2] = "exec " + command
				out := newTranscript()
				sh.Stdout, sh.Stderr = out, out
				if err := sh.Start(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- sh.Wait() }()
				t.Cleanup(func() {
					sh.Process.Signal(syscall.SIGTERM)
					select {
					case <-ended:
					case <-time.After(patience):
						sh.Process.Kill()
						t.Error("the server did not end")
					}
				})
				pin = pinForm.FindString(out.wait(t, `--pin sha256//\S+\n`)[0])
				for _, want := range st.output {
					out.wait(t, "(?m)"+likeness(want, port))
				}
				continue
			}
			got, err := sh.CombinedOutput()
			var bad *exec.ExitError
			if err != nil && !errors.As(err, &bad) {
				t.Fatalf("%s line %d: %s: %v", page, b.line, command, err)
			}
			exit = sh.ProcessState.ExitCode()
			lines := strings.Split(strings.TrimSuffix(string(got), "\n"), "\n")
			if len(got) == 0 {
				lines = nil
			}
			if i := slices.IndexFunc(lines, passwordForm.MatchString); password == "" && i >= 0 {
				password = lines[i]
			}
			if !matches(lines, st.output, port) {
				t.Errorf("%s line %d: $ %s\nprints\n%s\nthe page says\n%s", page, b.line, command,
					strings.Join(lines, "\n"), strings.Join(st.output, "\n"))
			}
		}
	}
	if ran < least {
		t.Errorf("only %d commands of %s were run", ran, page)
	}
}

func TestReadmeTranscriptsAreTrue(t *testing.T) { runTranscripts(t) }

// generated are the parts of the README that are read from tables.
var generated = map[string]func() string{
	"commands": func() string {
		var b strings.Builder
		b.WriteString("| command | what it does | from |\n|---|---|---|\n")
		for _, c := range ftpserver.Commands() {
			syntax := strings.ReplaceAll(strings.TrimSpace(c.Verb+" "+strings.ReplaceAll(c.Syntax, "<SP> ", "")), "|", `\|`)
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", syntax, catalog.Text(catalog.English, c.Help), c.RFC)
		}
		return b.String()
	},
	"interop": func() string {
		raw, err := os.ReadFile("INTEROP.md")
		if err != nil {
			return err.Error()
		}
		return condense(string(raw))
	},
	"torture": func() string {
		raw, err := os.ReadFile("TORTURE.md")
		if err != nil {
			return err.Error()
		}
		return summary(string(raw))
	},
	"settings": func() string {
		var b strings.Builder
		b.WriteString("| flag | `ftps.yaml` | default | meaning |\n|---|---|---|---|\n")
		for _, s := range config.Settings() {
			flags := "`--" + s.Name + "`"
			if s.Secret {
				flags = "none"
			}
			if s.Short != "" {
				flags = "`-" + s.Short + "`, " + flags
			}
			key, def := "`"+s.Key()+"`", ""
			if s.NoFile {
				key = ""
			}
			if s.Default != "" {
				def = "`" + s.Default + "`"
			}
			help := strings.NewReplacer("`", "", "|", `\|`).Replace(catalog.Text(catalog.English, s.Help))
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", flags, key, def, help)
		}
		return b.String()
	},
}

// summary keeps of each cell of TORTURE.md what stands before its first
// semicolon: figures of machines and memory are for who looks there.
func summary(table string) string {
	var b strings.Builder
	b.WriteString("| test | how much | found |\n|---|---|---|\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 3 || strings.HasPrefix(line, "|---") || strings.TrimSpace(cells[0]) == "test" {
			continue
		}
		for i, cell := range cells {
			cells[i], _, _ = strings.Cut(strings.TrimSpace(cell), ";")
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	return b.String()
}

// condense makes a row for each program of the tables of INTEROP.md.
func condense(tables string) string {
	type row struct {
		version, date, first string
		cases, passed        int
	}
	rows := make(map[string]*row)
	var order []string
	for line := range strings.Lines(tables) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 5 || strings.HasPrefix(line, "|---") || strings.Contains(cells[4], "result") {
			continue
		}
		name := strings.TrimSpace(cells[0])
		r := rows[name]
		if r == nil {
			r = &row{version: cells[1], date: cells[2], first: cells[3]}
			rows[name] = r
			order = append(order, name)
		}
		r.cases++
		if strings.HasPrefix(cells[4], "passed") {
			r.passed++
		}
	}
	var b strings.Builder
	b.WriteString("| client or server | version | date | what was done | passed |\n|---|---|---|---|---|\n")
	for _, name := range order {
		r := rows[name]
		if r.cases > 1 {
			r.first += fmt.Sprintf(" … and %d more", r.cases-1)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d of %d |\n", name, r.version, r.date, r.first, r.passed, r.cases)
	}
	return b.String()
}

func TestReadmeTablesAreThoseOfTheProgram(t *testing.T) {
	raw, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for name, make := range generated {
		part := regexp.MustCompile(`(?s)(<!-- ` + name + `: begin[^>]*-->\n).*?(<!-- ` + name + `: end -->)`)
		if !part.MatchString(text) {
			t.Errorf("the README has no place for %s", name)
			continue
		}
		now := part.ReplaceAllString(text, "${1}"+strings.ReplaceAll(make(), "$", "$$")+"${2}")
		if now != text && !*update {
			t.Errorf("the README's table of %s is old: go test ./integration -run Readme -update", name)
		}
		text = now
	}
	if *update {
		if err := os.WriteFile(readme, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadmesFirstCommandServesANewcomer(t *testing.T) {
	for how, command := range map[string][]string{
		"go run": {"go", "run", "./cmd/ftps", "server", "--demo"},
		"binary": {ftps, "server", "--demo"},
	} {
		t.Run(how, func(t *testing.T) {
			home := t.TempDir()
			env := append(cleanEnv(home), goEnv(t)...)
			out := newTranscript()
			cmd := exec.Command(command[0], command[1:]...)
			cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "..", env, out, out
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that Ctrl-C reaches go run and its child
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			defer func() {
				syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
				select {
				case <-ended:
				case <-time.After(patience):
					syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
					t.Error("Ctrl-C did not end the demo")
				}
			}()
			m := out.wait(t, `(?m)^    (.*client .* --password-file (\S+).*)$`)
			paste, secret := m[1], m[2]
			if how == "go run" && !strings.HasPrefix(paste, "go run ./cmd/ftps client ") {
				t.Errorf("started by go run, the command to paste is %q", paste)
			}
			sh := exec.Command("bash", "-c", paste+" ls")
			sh.Dir, sh.Env = "..", env
			got, err := sh.CombinedOutput()
			if err != nil || !strings.Contains(string(got), "226 - ") {
				t.Errorf("pasted: %s ls\n%s\n%v", paste, got, err)
			}
			defer func() {
				if _, err := os.Stat(filepath.Dir(secret)); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the demo left %s behind", filepath.Dir(secret))
				}
			}()
			syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
			select {
			case err := <-ended:
				ended <- err
			case <-time.After(patience):
				t.Fatal("Ctrl-C did not end the demo")
			}
		})
	}
}

// goEnv is what the go command needs in an empty home: its caches.
func goEnv(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN").Output()
	if err != nil {
		t.Fatal(err)
	}
	v := strings.Split(strings.TrimSpace(string(out)), "\n")
	return []string{"GOCACHE=" + v[0], "GOMODCACHE=" + v[1], "GOPROXY=" + v[2], "GOSUMDB=" + v[3], "GOTOOLCHAIN=" + v[4]}
}

func TestReadmeNamesEveryDependency(t *testing.T) {
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(module), -1) {
		// Of two modules in one row the second goes without its host.
		short := strings.NewReplacer("github.com/spf13/", "", "golang.org/", "", "github.com/mattn/", "mattn/").Replace(m[1])
		if !strings.Contains(string(text), short) {
			t.Errorf("the README does not say what %s is for", m[1])
		}
		named++
	}
	if named < 10 {
		t.Errorf("only %d dependencies were found in go.mod", named)
	}
}
