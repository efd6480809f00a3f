package shell

import (
	"context"
	"io"
	"slices"
	"strings"

	"ftps/pkg/catalog"
	"ftps/pkg/fault"
	"ftps/pkg/ftp"
	"ftps/pkg/ftpclient"
)

// command is one row of the table: all that help, completion and the check
// of arguments need to know, and what to run.
type command struct {
	names    []string // the first is the one help is filed under
	options  []option
	operands []kind // the last one stands for all that follow
	min, max int    // how many operands; max < 0 is any number
	raw      bool   // every word is an operand, also with a dash before it
	objects  bool   // with --json it writes objects of its own, not replies
	prints   bool   // its result may go to a file or a local command
	globs    bool   // its operands are patterns
	run      func(ctx context.Context, s *Session, args arguments, out io.Writer) error
}

// option is a switch of a command: "-r", or "--json" without a letter.
type option struct {
	letter byte
	long   string
	takes  bool // a value stands behind it: "--exclude PATTERN", "--exclude=PATTERN"
}

func (o option) String() string {
	if o.letter != 0 {
		return "-" + string(o.letter)
	}
	return "--" + o.long
}

// key names the option's row in the catalogue.
func (o option) key() string {
	if o.letter != 0 {
		return string(o.letter)
	}
	return o.long
}

// arguments are what was typed behind a command's name.
type arguments struct {
	operands []string
	options  []option
	values   map[string][]string // of the options that take one
}

func (a arguments) has(name string) bool {
	return slices.ContainsFunc(a.options, func(o option) bool { return o.key() == name })
}

// operand returns the nth operand, or a default.
func (a arguments) operand(n int, otherwise string) string {
	if n < len(a.operands) {
		return a.operands[n]
	}
	return otherwise
}

// table returns the shell's commands, in the order in which help shows them.
// It is a function because help reads the table that it is a row of.
func table() []command {
	all := []option{{letter: 'r'}, {letter: 'c'}}
	some := append(all[:2:2], option{letter: 'O', takes: true})
	count := option{letter: 'n', takes: true}
	one := func(operands ...kind) []kind { return operands }
	return []command{
		{names: []string{"ls", "listar"}, options: []option{{letter: 'l'}, {letter: 'a'}, {long: "json"}},
			operands: one(remote), max: 1, objects: true, prints: true, run: runLs},
		{names: []string{"cd"}, operands: one(remoteFolder), min: 1, max: 1, run: runCd},
		{names: []string{"pwd"}, objects: true, prints: true, run: runPwd},
		{names: []string{"get", "descargar"}, options: append(all[:2:2], option{letter: 'j', takes: true}), operands: one(remote, local), min: 1, max: 2, objects: true, run: runGet},
		{names: []string{"put", "subir"}, options: all, operands: one(local, remote), min: 1, max: 2, objects: true, run: runPut},
		{names: []string{"mget", "mdescargar"}, options: some, operands: one(remote), min: 1, max: -1, objects: true, globs: true, run: runMget},
		{names: []string{"mput", "msubir"}, options: some, operands: one(local), min: 1, max: -1, objects: true, globs: true, run: runMput},
		{names: []string{"mirror", "reflejar"}, options: mirrorOptions(), operands: one(remoteFolder, localFolder), min: 2, max: 2, objects: true, prints: true, run: runMirror},
		{names: []string{"sync", "sincronizar"}, options: mirrorOptions(), operands: one(remoteFolder, localFolder), min: 2, max: 2, objects: true, prints: true, run: runSync},
		{names: []string{"cat", "mostrar"}, operands: one(remote), min: 1, max: -1, objects: true, prints: true, run: runCat},
		{names: []string{"less", "paginar"}, operands: one(remote), min: 1, max: -1, objects: true, run: runLess},
		{names: []string{"head", "comienzo"}, options: []option{count}, operands: one(remote), min: 1, max: -1, objects: true, prints: true, run: runHead},
		{names: []string{"tail", "final"}, options: []option{count, {letter: 'f'}}, operands: one(remote), min: 1, max: -1, objects: true, prints: true, run: runTail},
		{names: []string{"edit", "editar"}, operands: one(remote), min: 1, max: 1, objects: true, run: runEdit},
		{names: []string{"touch", "tocar"}, operands: one(remote), min: 1, max: -1, run: runTouch},
		{names: []string{"mkdir", "crear"}, operands: one(remoteFolder), min: 1, max: -1, run: runMkdir},
		{names: []string{"rmdir", "borrarcarpeta"}, operands: one(remoteFolder), min: 1, max: -1, run: runRmdir},
		{names: []string{"rm", "borrar"}, operands: one(remote), min: 1, max: -1, run: runRm},
		{names: []string{"mv", "mover"}, operands: one(remote), min: 2, max: 2, run: runMv},
		{names: []string{"chmod", "permisos"}, operands: one(nothing, remote), min: 2, max: -1, run: runChmod},
		{names: []string{"du", "ocupa"}, operands: one(remoteFolder), max: -1, objects: true, prints: true, run: runDu},
		{names: []string{"find", "buscar"}, operands: one(remoteFolder), max: 2, objects: true, prints: true, run: runFind},
		{names: []string{"tree", "arbol", "árbol"}, operands: one(remoteFolder), max: 1, objects: true, prints: true, run: runTree},
		{names: []string{"hash", "suma"}, operands: one(remote), min: 1, max: -1, objects: true, prints: true, run: runHash},
		{names: []string{"stat", "datos"}, options: []option{{long: "json"}}, operands: one(remote), min: 1, max: -1, objects: true, prints: true, run: runStat},
		{names: []string{"lcd"}, operands: one(localFolder), max: 1, run: runLcd},
		{names: []string{"lpwd"}, prints: true, run: runLpwd},
		{names: []string{"lls"}, operands: one(localFolder), max: 1, prints: true, run: runLls},
		{names: []string{"quote", "literal"}, min: 1, max: -1, raw: true, run: runQuote},
		{names: []string{"bookmark", "marcador"}, operands: one(bookmarkWord, bookmarkNames), max: -1, objects: true, prints: true, run: runBookmark},
		{names: []string{"status", "estado"}, prints: true, run: runStatus},
		{names: []string{"doctor", "diagnostico", "diagnóstico"}, options: []option{{long: "json"}}, objects: true, prints: true, run: runDoctor},
		{names: []string{"history", "historial"}, prints: true, run: runHistory},
		{names: []string{"!"}, max: -1, raw: true, run: runLocal},
		{names: []string{"help", "ayuda"}, operands: one(commandName), max: 1, prints: true, run: runHelp},
		{names: []string{"quit", "salir", "exit", "bye"}, run: runQuit},
	}
}

// find returns the row of a name, in any case of letters.
func (s *Session) find(name string) (*command, bool) {
	name = strings.ToLower(name)
	for i := range s.commands {
		if slices.Contains(s.commands[i].names, name) {
			return &s.commands[i], true
		}
	}
	return nil, false
}

// parse sorts a command's words into options and operands. Options may stand
// anywhere before "--".
func (c *command) parse(words []string) (arguments, error) {
	var args arguments
	if c.raw {
		args.operands = words
		return args, c.count(args)
	}
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "--":
			args.operands = append(args.operands, words[i+1:]...)
			return args, c.count(args)
		case strings.HasPrefix(w, "--"):
			name, value, given := strings.Cut(w[2:], "=")
			o, err := c.long(name, given)
			if err != nil {
				return args, err
			}
			if o.takes && !given {
				if i++; i == len(words) {
					return args, c.misuse("shell.option.value", o.String(), c.names[0])
				}
				value = words[i]
			}
			if o.takes {
				args.give(o, value)
			}
			args.options = append(args.options, o)
		case len(w) > 1 && w[0] == '-':
			for at, letter := range []byte(w[1:]) {
				o, err := c.short(letter)
				if err != nil {
					return args, err
				}
				args.options = append(args.options, o)
				if !o.takes {
					continue
				}
				// "-j4" or "-j 4"
				value := w[2+at:]
				if value == "" {
					if i++; i == len(words) {
						return args, c.misuse("shell.option.value", o.String(), c.names[0])
					}
					value = words[i]
				}
				args.give(o, value)
				break
			}
		default:
			args.operands = append(args.operands, w)
		}
	}
	return args, c.count(args)
}

func (a *arguments) give(o option, value string) {
	if a.values == nil {
		a.values = make(map[string][]string)
	}
	a.values[o.key()] = append(a.values[o.key()], value)
}

// short finds an option by its letter.
func (c *command) short(letter byte) (option, error) {
	for _, o := range c.options {
		if o.letter == letter {
			return o, nil
		}
	}
	return option{}, c.misuse("shell.option.unknown", ftp.Sanitise("-"+string(rune(letter))), c.names[0])
}

// long finds a long option; "_" serves for "-" as it does on the command line.
func (c *command) long(name string, given bool) (option, error) {
	spelt := strings.ReplaceAll(name, "_", "-")
	for _, o := range c.options {
		if o.long != "" && o.long == spelt && (o.takes || !given) {
			return o, nil
		}
	}
	return option{}, c.misuse("shell.option.unknown", ftp.Sanitise("--"+name), c.names[0])
}

func (c *command) count(args arguments) error {
	switch n := len(args.operands); {
	case n < c.min:
		return c.misuse("shell.args.missing", c.names[0])
	case c.max >= 0 && n > c.max:
		return c.misuse("shell.args.extra", ftp.Sanitise(args.operands[c.max]), c.names[0])
	}
	return nil
}

// misuse is an error in what was typed.
type misuse struct{ error }

func (m *misuse) Unwrap() error { return m.error }

// Class implements ftpclient.Classified.
func (*misuse) Class() ftpclient.ClassCode { return ftpclient.Usage }

func (c *command) misuse(key string, args ...any) error {
	return &misuse{fault.New(key, args...)}
}

func (s *Session) unknown(name string) error {
	var names []string
	for _, c := range s.commands {
		names = append(names, c.names...)
	}
	if near := nearest(strings.ToLower(name), names); near != "" {
		return &misuse{fault.New("shell.command.near", ftp.Sanitise(name), near)}
	}
	return &misuse{fault.New("shell.command.unknown", ftp.Sanitise(name))}
}

// synopsis returns "get [-r] [-c] REMOTE [LOCAL]".
func (s *Session) synopsis(c *command) string {
	line := strings.Join(c.names, " | ")
	if operands := catalog.Text(s.Lang, "shell.args."+c.names[0]); operands != "" {
		line += " " + operands
	}
	return line
}
