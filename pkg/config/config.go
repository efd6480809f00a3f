// Package config reads the server's settings: defaults, then ftps.yaml, then
// the environment, then flags; each may override what stands before it.
//
// One table ([Settings]) makes the flags, the names in the environment and
// in the file, their help, and the commented example. Reading is strict: an
// unknown key or a bad value is an error that names the file and the key, so
// that nothing starts half-configured.
package config

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"ftps/pkg/fault"
)

// Off is the value of a port that is not opened.
const Off = -1

// What stands for an address or a path: none is wanted, or the server is to
// choose.
const (
	None = "off"
	Auto = "auto"
)

// Ports is a range of ports, both ends included. First 0 means one that the
// system chooses.
type Ports struct{ First, Last int }

// Server holds the settings of ftps server.
type Server struct {
	Host         string
	ControlPort  int
	ImplicitPort int // Off, or a port
	DataPorts    Ports
	PublicIP     string // IPv4 address, a name that has one, or ""
	ProxyFrom    []netip.Prefix
	Reuse        string // "require" or "prefer"
	RootDir      string
	Users        string
	Certs, Keys  []string
	ClientCA     string
	TicketKeys   string // path, or ""

	ACMEDomains, ACMEListen          []string
	ACMECache, ACMEDirectory, ACMECA string

	RunAs    string
	Landlock string // "auto", "require" or "off"

	MaxConnections, MaxPerAddress, MaxBeforeLogin                                        int
	HandshakeTimeout, LoginTimeout, IdleTimeout, DataTimeout, DrainTimeout, StallTimeout time.Duration
	SessionTimeout                                                                       time.Duration // 0 is none
	MinRate                                                                              int64         // bytes a second; 0 is none

	BanScore int // 0 is never
	BanTime  time.Duration
	NeverBan []netip.Prefix

	Umask     fs.FileMode
	NoFsync   bool
	Lang      string // "en", "es" or ""
	LogFormat string // "text", "json" or ""
	LogLevel  slog.Level
	Xferlog   string // path, or ""

	S3Endpoint                                             *url.URL // nil is none
	S3Region, S3AccessKey, S3SecretKey, S3SecretFile, S3CA string
	S3InClear                                              bool

	Webhook, WebhookSecretFile, Hook string
	HookTimeout                      time.Duration

	Banner      string
	NoConsole   bool
	AdminSocket string // path, Auto or None
	Metrics     string // host:port, or None
	Demo        bool
	Check       bool
	Config      string // the file that was read, "" for none

	named map[string]bool
	words map[string][]string // what each setting was set to
}

// Named reports whether someone gave the setting of that name (the flag's),
// by flag, environment or file.
func (s *Server) Named(name string) bool { return s.named[name] }

// Changed returns the settings that differ from those of before.
func (s *Server) Changed(before *Server) (changed []Setting) {
	for _, row := range Settings() {
		if !slices.Equal(s.words[row.Name], before.words[row.Name]) {
			changed = append(changed, row)
		}
	}
	return changed
}

// Default returns the settings that hold when nobody gives any.
func Default() *Server {
	s := &Server{named: map[string]bool{}}
	for _, row := range Settings() {
		if err := row.parse(s, row.defaults()); err != nil {
			panic("config: default of " + row.Name + ": " + err.Error())
		}
	}
	return s
}

// AddFlags adds the flags of all settings to set, described by text.
func AddFlags(set *pflag.FlagSet, text func(key string, args ...any) string) {
	AddNamed(set, text)
}

// AddNamed adds the flags of some settings, or of all if it is given no
// name.
func AddNamed(set *pflag.FlagSet, text func(key string, args ...any) string, names ...string) {
	for _, row := range Settings() {
		if row.Secret || set.Lookup(row.Name) != nil || len(names) > 0 && !slices.Contains(names, row.Name) {
			continue
		}
		value := &flagValue{row: row, words: row.defaults(), word: "bool"}
		help := text(row.Help)
		if !row.Bool {
			_, after, _ := strings.Cut(help, "`")
			value.word, _, _ = strings.Cut(after, "`")
		}
		flag := set.VarPF(value, row.Name, row.Short, plainHelp(help))
		if row.Bool {
			flag.NoOptDefVal = "true"
		}
	}
}

// Load reads all settings. Flags must have been parsed; flags that other
// code added under a setting's name count as that setting's. The file is
// the one that was named, or the first that exists of ./ftps.yaml and
// ftps/ftps.yaml in each of folders. The error joins all that is wrong.
func Load(flags *pflag.FlagSet, folders []string) (*Server, error) {
	values := viper.New()
	for _, row := range Settings() {
		values.SetDefault(row.Key(), row.defaults())
		if err := values.BindEnv(row.Key(), row.Env()); err != nil {
			return nil, err
		}
		if flag := flags.Lookup(row.Name); flag != nil && flag.Changed {
			values.Set(row.Key(), flagWords(flag))
		}
	}
	file, err := find(oneWord(values.Get("config")), folders)
	if err != nil {
		return nil, err
	}
	inFile := map[string]any{}
	if file != "" {
		if inFile, err = readFile(file); err != nil {
			return nil, err
		}
		if err := values.MergeConfigMap(inFile); err != nil {
			return nil, err
		}
	}

	s := &Server{named: map[string]bool{}, words: map[string][]string{}}
	var wrong []error
	for _, row := range Settings() {
		_, filed := inFile[row.Key()]
		flag := flags.Lookup(row.Name)
		flagged := flag != nil && flag.Changed
		fromEnv := os.Getenv(row.Env()) != ""
		s.named[row.Name] = flagged || fromEnv || filed

		words, err := toWords(row, values.Get(row.Key()))
		if err == nil {
			s.words[row.Name] = words
			err = row.parse(s, words)
		}
		switch {
		case err == nil:
		case flagged:
			wrong = append(wrong, fault.Wrap(err, "config.flag.value", "--"+row.Name, err))
		case fromEnv:
			wrong = append(wrong, fault.Wrap(err, "config.env.value", row.Env(), err))
		default:
			wrong = append(wrong, fault.Wrap(err, "config.file.value", file, row.Key(), err))
		}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	s.Config = file
	return s, nil
}

// find returns the file to read, "" for none. One that was named must exist.
func find(named string, folders []string) (string, error) {
	if named != "" {
		if _, err := os.Stat(named); err != nil {
			return "", unreadable(named, err)
		}
		return named, nil
	}
	candidates := []string{"ftps.yaml"}
	for _, folder := range folders {
		candidates = append(candidates, filepath.Join(folder, "ftps", "ftps.yaml"))
	}
	for _, file := range candidates {
		_, err := os.Stat(file)
		switch {
		case err == nil:
			return file, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", unreadable(file, err)
		}
	}
	return "", nil
}

// unreadable says where the file is, for it is looked for in several places.
func unreadable(file string, err error) error {
	if whole, failed := filepath.Abs(file); failed == nil {
		file = whole
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(err, "config.file.missing", file)
	case errors.Is(err, fs.ErrPermission):
		return fault.Wrap(err, "config.file.denied", file)
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // the file is named already
	}
	return fault.Wrap(err, "config.file.unreadable", file, err)
}

// readFile returns the keys of a settings file and what stands behind them.
func readFile(file string) (map[string]any, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	// Keys of settings have no dots; another delimiter keeps viper from
	// splitting an unknown key that has one.
	v := viper.NewWithOptions(viper.KeyDelimiter("\x00"))
	v.SetConfigType("yaml")
	if err := v.ReadConfig(strings.NewReader(string(text))); err != nil {
		return nil, fault.Wrap(err, "config.file.syntax", file, yamlSays(err))
	}
	found := map[string]any{}
	for _, path := range slices.Sorted(slices.Values(v.AllKeys())) {
		key, _, _ := strings.Cut(path, "\x00")
		row, ok := lookup(key)
		if !ok {
			if near := nearest(key); near != "" {
				return nil, fault.New("config.file.near", file, key, near)
			}
			return nil, fault.New("config.file.unknown", file, key)
		}
		// YAML reads 027 as the number 23; what was written is what counts.
		value := v.Get(key)
		if _, number := value.(int); number && row.Octal {
			value = written(text, key)
		}
		if value != nil { // a key with nothing behind it keeps the default
			found[key] = value
		}
	}
	return found, nil
}

// written returns the scalar behind a key as it stands in the file.
func written(text []byte, key string) string {
	m := regexp.MustCompile(`(?im)^` + regexp.QuoteMeta(key) + `\s*:\s*([^\s#]+)`).FindSubmatch(text)
	if m == nil {
		return ""
	}
	return string(m[1])
}

// yamlSays strips what viper and the decoder put before the parser's words,
// which carry the line number.
func yamlSays(err error) string {
	_, said, ok := strings.Cut(err.Error(), "yaml: ")
	if !ok {
		return err.Error()
	}
	said = strings.TrimPrefix(said, "unmarshal errors:\n  ")
	return strings.ReplaceAll(said, "\n  ", "; ")
}
