package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// terminal is a program that runs on a pseudo-terminal, and what it shows.
type terminal struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	tty  *os.File
	out  *transcript
	seen int // what of out was matched
	done chan error
}

// onTerminal starts the binary on a pseudo-terminal of 80 columns.
func onTerminal(t *testing.T, name, dir, home string, args ...string) *terminal {
	t.Helper()
	cmd := exec.Command(ftps, args...)
	cmd.Dir, cmd.Env = dir, cleanEnv(home)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, name: name, cmd: cmd, tty: tty, out: newTranscript(), done: make(chan error, 1)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			x.out.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	go func() { x.done <- cmd.Wait() }()
	t.Cleanup(func() {
		select {
		case err := <-x.done:
			x.done <- err
		default:
			cmd.Process.Kill()
			<-x.done
		}
		tty.Close()
		<-read
		if t.Failed() {
			t.Logf("%s showed:\n%s", name, x.out)
		}
	})
	return x
}

// expect waits for re in what was shown since the last match.
func (x *terminal) expect(re string) []string {
	x.t.Helper()
	r := regexp.MustCompile(re)
	deadline := time.After(patience)
	for {
		x.out.mu.Lock()
		text, more := x.out.text.String()[x.seen:], x.out.more
		x.out.mu.Unlock()
		if at := r.FindStringSubmatchIndex(text); at != nil {
			x.seen += at[1]
			return r.FindStringSubmatch(text)
		}
		select {
		case <-more:
		case <-deadline:
			x.t.Fatalf("%s: no %q within %v in:\n%q", x.name, re, patience, text)
		}
	}
}

// say types a line.
func (x *terminal) say(line string) {
	x.t.Helper()
	if _, err := x.tty.WriteString(line + "\r"); err != nil {
		x.t.Fatalf("%s: typing %q: %v", x.name, line, err)
	}
}

// ended waits until the program is over and returns its exit code.
func (x *terminal) ended() int {
	x.t.Helper()
	select {
	case err := <-x.done:
		x.done <- err
		return x.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		x.t.Fatalf("%s did not end within %v", x.name, patience)
		return -1
	}
}

const (
	blue  = `\x1b\[[0-9;]*34m`
	green = `\x1b\[[0-9;]*32m`
	red   = `\x1b\[[0-9;]*31m`
)

// session is what the original program says, in one language.
type session struct {
	lang                             string
	welcome, user, password          string
	loggedIn, opening, done, denied  string
	notFolder, changed, bye          string
	ls, put, get, quit               string
	connected, kicked, kickAsk, shut string
	kickedTold                       string
}

var sessions = []session{
	{
		lang: "es", welcome: "220 - Bienvenido al servidor FTP", user: "USUARIO:",
		password: "331 - Usuario correcto, ingrese la clave", loggedIn: "230 - Login exitoso",
		opening: "150 - Preparado para recibir datos", done: "226 - Transferencia completada",
		denied: "550 - Acceso denegado", notFolder: "550 - No es directorio",
		changed: "250 - Directorio cambiado correctamente", bye: "221 - Cerrando conexión",
		ls: "listar", put: "SUBIR", get: "DESCARGAR", quit: "SALIR",
		connected: "Se conectó", kicked: "Expulsado el cliente", kickAsk: "s", kickedTold: "421 - Expulsado",
		shut: "servidor",
	},
	{
		lang: "en", welcome: "220 - Welcome to the FTP server", user: "USER:",
		password: "331 - User name okay, enter the password", loggedIn: "230 - Login successful",
		opening: "150 - Ready to receive data", done: "226 - Transfer complete",
		denied: "550 - Access denied", notFolder: "550 - Not a folder",
		changed: "250 - Folder changed", bye: "221 - Closing connection",
		ls: "ls", put: "PUT", get: "GET", quit: "QUIT",
		connected: "Connected", kicked: "Kicked", kickAsk: "y", kickedTold: "421 - Kicked",
		shut: "server",
	},
}

func TestTheOriginalSessionOnRealTerminals(t *testing.T) {
	for _, say := range sessions {
		t.Run(say.lang, func(t *testing.T) { playOriginal(t, say) })
	}
}

func playOriginal(t *testing.T, say session) {
	dir := t.TempDir()
	if _, errs, code := run(t, dir, "secreto\n", "useradd", "diego", "--password-stdin", "--cost", "4"); code != 0 {
		t.Fatal(errs)
	}
	home := filepath.Join(dir, "srv", "diego")
	os.MkdirAll(filepath.Join(home, "fotos"), 0o755)
	os.WriteFile(filepath.Join(home, "nota.txt"), []byte("hola\n"), 0o644)
	os.WriteFile(filepath.Join(dir, "carta.txt"), []byte("querida\n"), 0o644)

	port, first := fmt.Sprint(freePorts(t, 1)[0]), freeRange(t, 4)
	args := []string{"server", "-H", "127.0.0.1", "-C", port, "-D", fmt.Sprintf("%d-%d", first, first+3), "--lang", say.lang}
	if os.Getuid() == 0 {
		args = append(args, "--run-as", "root")
	}
	server := onTerminal(t, "server", dir, dir, args...)
	pin := server.expect(`--pin (sha256//[A-Za-z0-9+/=]+)`)[1]

	connect := func(name string) *terminal {
		t.Helper()
		c := onTerminal(t, name, dir, t.TempDir(), "client", "127.0.0.1", "-p", port, "--pin", pin, "--lang", say.lang)
		c.expect(green + `.*` + say.welcome)
		c.expect(say.user)
		c.say("diego")
		c.expect(green + `.*` + say.password)
		c.expect(`PASS:`)
		c.say("secreto")
		c.expect(green + `.*` + say.loggedIn)
		c.expect(`ftp> `)
		return c
	}
	a := connect("first client")
	server.expect(say.connected)
	b := connect("second client")
	server.expect(say.connected)

	a.say(say.ls)
	a.expect(green + `.*` + say.opening)
	a.expect(blue + `fotos`)
	a.expect(`nota\.txt`)
	a.expect(say.done)
	a.say("cd ..")
	a.expect(red + `.*` + say.denied)
	a.say("cd /etc")
	a.expect(red + `.*550 - `)
	a.say("cd nota.txt")
	a.expect(red + `.*` + say.notFolder)
	a.say("cd fotos")
	a.expect(green + `.*` + say.changed)
	server.expect(`/fotos`) // who went into which folder is told
	a.say(say.put + " carta.txt")
	a.expect(say.done)
	a.say(say.get + " carta.txt vuelta.txt")
	a.expect(say.done)
	a.expect(`ftp> `)
	if got, err := os.ReadFile(filepath.Join(home, "fotos", "carta.txt")); err != nil || string(got) != "querida\n" {
		t.Errorf("uploaded: %q, %v", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "vuelta.txt")); err != nil || string(got) != "querida\n" {
		t.Errorf("downloaded: %q, %v", got, err)
	}

	server.say("list")
	server.expect(`(?m)^\s*0\s.*diego`)
	server.expect(`(?m)^\s*1\s.*diego`)
	server.say("kick 0")
	server.expect(`\?`)
	server.say(say.kickAsk)
	server.expect(say.kicked)
	a.say("pwd") // what the first client does next, it is told
	a.expect(red + `.*` + say.kickedTold)

	b.say(say.quit)
	b.expect(green + `.*` + say.bye)
	if code := b.ended(); code != 0 {
		t.Errorf("the second client's exit code is %d", code)
	}
	server.say("exit")
	if code := server.ended(); code != 0 {
		t.Errorf("the server's exit code is %d", code)
	}
	for _, x := range []*terminal{server, a, b} {
		if strings.Contains(x.out.String(), "secreto") {
			t.Errorf("the password was shown to the %s", x.name)
		}
	}

	// The port can be bound again at once.
	again := serveIn(t, dir, "-C", port)
	if again.pin != pin {
		t.Errorf("after a restart the pin is %s, was %s", again.pin, pin)
	}
}
