package config

import (
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"ftps/pkg/catalog"
	"ftps/pkg/fault"
	"ftps/pkg/users"
)

// Setting is one row of the table.
type Setting struct {
	Name    string // of the flag: control-port
	Short   string // one letter, or ""
	Default string
	Group   string // key of the group's title
	Help    string // key of what it means
	Bool    bool
	List    bool // may be given more than once
	Octal   bool
	NoFile  bool // has no key in the file
	Secret  bool // has no flag, whose words every user of the machine can see, and is shown to nobody
	Live    bool // a change takes hold while the server runs

	parse func(*Server, []string) error
}

// Key returns the setting's key in ftps.yaml.
func (row Setting) Key() string { return strings.ReplaceAll(row.Name, "-", "_") }

// Env returns the setting's name in the environment.
func (row Setting) Env() string { return "FTPS_" + strings.ToUpper(row.Key()) }

func (row Setting) defaults() []string {
	if row.Default == "" && row.List {
		return nil
	}
	return []string{row.Default}
}

const (
	network  = "config.group.network"
	files    = "config.group.files"
	security = "config.group.security"
	limits   = "config.group.limits"
	speech   = "config.group.speech"
	running  = "config.group.running"
)

// Settings returns the table, in the order in which people read it.
func Settings() []Setting {
	return []Setting{
		{Name: "host", Short: "H", Group: network, Help: "config.help.host",
			parse: text(func(s *Server) *string { return &s.Host })},
		{Name: "control-port", Short: "C", Default: "5000", Group: network, Help: "config.help.control_port",
			parse: port(func(s *Server) *int { return &s.ControlPort }, false)},
		{Name: "implicit-port", Default: "off", Group: network, Help: "config.help.implicit_port",
			parse: port(func(s *Server) *int { return &s.ImplicitPort }, true)},
		{Name: "data-port", Short: "D", Default: "5050-5065", Group: network, Help: "config.help.data_port",
			parse: parseDataPorts},
		{Name: "public-ip", Group: network, Help: "config.help.public_ip",
			parse: parsePublicIP},
		{Name: "proxy-from", List: true, Group: network, Help: "config.help.proxy_from",
			parse: parseProxyFrom},

		{Name: "root-dir", Short: "R", Default: "./srv", Group: files, Help: "config.help.root_dir",
			parse: needed(func(s *Server) *string { return &s.RootDir })},
		{Name: "users", Default: "users.yaml", Group: files, Help: "config.help.users",
			parse: needed(func(s *Server) *string { return &s.Users })},
		{Name: "s3-endpoint", Group: files, Help: "config.help.s3_endpoint",
			parse: parseStoreURL},
		{Name: "s3-region", Group: files, Help: "config.help.s3_region",
			parse: text(func(s *Server) *string { return &s.S3Region })},
		{Name: "s3-access-key", Secret: true, Group: files, Help: "config.help.s3_access_key",
			parse: text(func(s *Server) *string { return &s.S3AccessKey })},
		{Name: "s3-secret-key", Secret: true, Group: files, Help: "config.help.s3_secret_key",
			parse: text(func(s *Server) *string { return &s.S3SecretKey })},
		{Name: "s3-secret-file", Group: files, Help: "config.help.s3_secret_file",
			parse: text(func(s *Server) *string { return &s.S3SecretFile })},
		{Name: "s3-ca", Group: files, Help: "config.help.s3_ca",
			parse: text(func(s *Server) *string { return &s.S3CA })},
		{Name: "s3-in-clear", Default: "false", Bool: true, Group: files, Help: "config.help.s3_in_clear",
			parse: boolean(func(s *Server) *bool { return &s.S3InClear })},
		{Name: "umask", Default: "027", Octal: true, Live: true, Group: files, Help: "config.help.umask",
			parse: parseUmask},
		{Name: "no-fsync", Default: "false", Bool: true, Live: true, Group: files, Help: "config.help.no_fsync",
			parse: boolean(func(s *Server) *bool { return &s.NoFsync })},

		{Name: "cert", Default: "certs/server.crt", List: true, Group: security, Help: "config.help.cert",
			parse: list(func(s *Server) *[]string { return &s.Certs })},
		{Name: "key", Default: "certs/server.key", List: true, Group: security, Help: "config.help.key",
			parse: list(func(s *Server) *[]string { return &s.Keys })},
		{Name: "client-ca", Group: security, Help: "config.help.client_ca",
			parse: text(func(s *Server) *string { return &s.ClientCA })},
		{Name: "acme-domain", List: true, Group: security, Help: "config.help.acme_domain",
			parse: parseDomains},
		{Name: "acme-listen", Default: ":443", List: true, Group: security, Help: "config.help.acme_listen",
			parse: parseListen},
		{Name: "acme-cache", Default: "acme", Group: security, Help: "config.help.acme_cache",
			parse: needed(func(s *Server) *string { return &s.ACMECache })},
		{Name: "acme-directory", Group: security, Help: "config.help.acme_directory",
			parse: secureURL(func(s *Server) *string { return &s.ACMEDirectory })},
		{Name: "acme-ca", Group: security, Help: "config.help.acme_ca",
			parse: text(func(s *Server) *string { return &s.ACMECA })},
		{Name: "ticket-keys", Group: security, Help: "config.help.ticket_keys",
			parse: text(func(s *Server) *string { return &s.TicketKeys })},
		{Name: "session-reuse", Default: "require", Live: true, Group: security, Help: "config.help.session_reuse",
			parse: choice(func(s *Server) *string { return &s.Reuse }, "require", "prefer")},
		{Name: "ban-score", Default: "100", Live: true, Group: security, Help: "config.help.ban_score",
			parse: orOff(count(func(s *Server) *int { return &s.BanScore }), func(s *Server) { s.BanScore = 0 })},
		{Name: "ban-time", Default: "10m", Live: true, Group: security, Help: "config.help.ban_time",
			parse: duration(func(s *Server) *time.Duration { return &s.BanTime })},
		{Name: "never-ban", Default: "127.0.0.0/8,::1", List: true, Live: true, Group: security, Help: "config.help.never_ban",
			parse: parseNeverBan},
		{Name: "run-as", Group: security, Help: "config.help.run_as",
			parse: text(func(s *Server) *string { return &s.RunAs })},
		{Name: "landlock", Default: "auto", Group: security, Help: "config.help.landlock",
			parse: choice(func(s *Server) *string { return &s.Landlock }, "auto", "require", "off")},

		{Name: "max-connections", Default: "2000", Live: true, Group: limits, Help: "config.help.max_connections",
			parse: count(func(s *Server) *int { return &s.MaxConnections })},
		{Name: "max-connections-per-address", Default: "200", Live: true, Group: limits, Help: "config.help.max_per_address",
			parse: count(func(s *Server) *int { return &s.MaxPerAddress })},
		{Name: "max-before-login", Default: "1000", Live: true, Group: limits, Help: "config.help.max_before_login",
			parse: count(func(s *Server) *int { return &s.MaxBeforeLogin })},
		{Name: "handshake-timeout", Default: "10s", Live: true, Group: limits, Help: "config.help.handshake_timeout",
			parse: duration(func(s *Server) *time.Duration { return &s.HandshakeTimeout })},
		{Name: "login-timeout", Default: "1m", Live: true, Group: limits, Help: "config.help.login_timeout",
			parse: duration(func(s *Server) *time.Duration { return &s.LoginTimeout })},
		{Name: "idle-timeout", Default: "5m", Live: true, Group: limits, Help: "config.help.idle_timeout",
			parse: duration(func(s *Server) *time.Duration { return &s.IdleTimeout })},
		{Name: "data-timeout", Default: "30s", Group: limits, Help: "config.help.data_timeout",
			parse: duration(func(s *Server) *time.Duration { return &s.DataTimeout })},
		{Name: "stall-timeout", Default: "1m", Live: true, Group: limits, Help: "config.help.stall_timeout",
			parse: duration(func(s *Server) *time.Duration { return &s.StallTimeout })},
		{Name: "min-rate", Default: "1 KiB", Live: true, Group: limits, Help: "config.help.min_rate",
			parse: orOff(parseMinRate, func(s *Server) { s.MinRate = 0 })},
		{Name: "session-timeout", Default: "off", Live: true, Group: limits, Help: "config.help.session_timeout",
			parse: orOff(duration(func(s *Server) *time.Duration { return &s.SessionTimeout }), func(s *Server) { s.SessionTimeout = 0 })},

		{Name: "drain-timeout", Default: "1h", Group: limits, Help: "config.help.drain_timeout",
			parse: duration(func(s *Server) *time.Duration { return &s.DrainTimeout })},

		{Name: "lang", Live: true, Group: speech, Help: "config.help.lang",
			parse: parseLang},
		{Name: "banner", Live: true, Group: speech, Help: "config.help.banner",
			parse: text(func(s *Server) *string { return &s.Banner })},
		{Name: "log-format", Group: speech, Help: "config.help.log_format",
			parse: choice(func(s *Server) *string { return &s.LogFormat }, "", "text", "json")},
		{Name: "log-level", Default: "info", Live: true, Group: speech, Help: "config.help.log_level",
			parse: parseLevel},
		{Name: "xferlog", Group: speech, Help: "config.help.xferlog",
			parse: text(func(s *Server) *string { return &s.Xferlog })},
		{Name: "webhook", Group: running, Help: "config.help.webhook",
			parse: text(func(s *Server) *string { return &s.Webhook })},
		{Name: "webhook-secret-file", Group: running, Help: "config.help.webhook_secret_file",
			parse: text(func(s *Server) *string { return &s.WebhookSecretFile })},
		{Name: "hook", Group: running, Help: "config.help.hook",
			parse: text(func(s *Server) *string { return &s.Hook })},
		{Name: "hook-timeout", Default: "1m", Group: running, Help: "config.help.hook_timeout",
			parse: duration(func(s *Server) *time.Duration { return &s.HookTimeout })},
		{Name: "metrics", Default: "off", Group: running, Help: "config.help.metrics",
			parse: parseMetrics},
		{Name: "admin-socket", Default: "auto", Group: running, Help: "config.help.admin_socket",
			parse: needed(func(s *Server) *string { return &s.AdminSocket })},
		{Name: "config", Group: running, Help: "config.help.config", NoFile: true,
			parse: func(*Server, []string) error { return nil }},
		{Name: "no-console", Default: "false", Bool: true, Group: running, Help: "config.help.no_console",
			parse: boolean(func(s *Server) *bool { return &s.NoConsole })},
		{Name: "demo", Default: "false", Bool: true, Group: running, Help: "config.help.demo",
			parse: boolean(func(s *Server) *bool { return &s.Demo })},
		{Name: "check", Default: "false", Bool: true, Group: running, Help: "config.help.check",
			parse: boolean(func(s *Server) *bool { return &s.Check })},
	}
}

// lookup returns the setting of a key in the file.
func lookup(key string) (Setting, bool) {
	for _, row := range Settings() {
		if row.Key() == key && !row.NoFile {
			return row, true
		}
	}
	return Setting{}, false
}

// nearest returns the key that someone who wrote key may have meant, or "".
func nearest(key string) string {
	squash := strings.NewReplacer("-", "", "_", "", ".", "", " ", "").Replace
	for _, row := range Settings() {
		if !row.NoFile && (squash(row.Key()) == squash(key) || distance(row.Key(), key) <= 2) {
			return row.Key()
		}
	}
	return ""
}

// distance is Levenshtein's: how many letters differ.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, last+1)
		}
	}
	return row[len(b)]
}

func text(field func(*Server) *string) func(*Server, []string) error {
	return func(s *Server, words []string) error {
		*field(s) = words[0]
		return nil
	}
}

func needed(field func(*Server) *string) func(*Server, []string) error {
	return func(s *Server, words []string) error {
		if words[0] == "" {
			return fault.New("config.value.empty")
		}
		*field(s) = words[0]
		return nil
	}
}

func list(field func(*Server) *[]string) func(*Server, []string) error {
	return func(s *Server, words []string) error {
		for _, word := range words {
			if word == "" {
				return fault.New("config.value.empty")
			}
		}
		*field(s) = words
		return nil
	}
}

func boolean(field func(*Server) *bool) func(*Server, []string) error {
	return func(s *Server, words []string) error {
		value, err := strconv.ParseBool(words[0])
		if err != nil {
			return fault.New("config.value.bool", words[0])
		}
		*field(s) = value
		return nil
	}
}

func choice(field func(*Server) *string, allowed ...string) func(*Server, []string) error {
	return func(s *Server, words []string) error {
		for _, word := range allowed {
			if word == words[0] {
				*field(s) = word
				return nil
			}
		}
		return fault.New("config.value.choice", words[0], strings.TrimPrefix(strings.Join(allowed, ", "), ", "))
	}
}

// maxCount bounds what is counted: no machine has more descriptors.
const maxCount = 1_000_000

func count(field func(*Server) *int) func(*Server, []string) error {
	return func(s *Server, words []string) error {
		number, err := strconv.Atoi(words[0])
		if err != nil || number < 1 || number > maxCount {
			return fault.New("config.value.count", words[0], maxCount)
		}
		*field(s) = number
		return nil
	}
}

// maxWait bounds a time that something may take.
const maxWait = 24 * time.Hour

// duration reads a time as Go writes it (90s, 5m); a bare number is seconds.
func duration(field func(*Server) *time.Duration) func(*Server, []string) error {
	return func(s *Server, words []string) error {
		word := words[0]
		if _, err := strconv.ParseUint(word, 10, 32); err == nil {
			word += "s"
		}
		d, err := time.ParseDuration(word)
		if err != nil || d < time.Second || d > maxWait {
			return fault.New("config.value.duration", words[0])
		}
		*field(s) = d
		return nil
	}
}

func port(field func(*Server) *int, mayBeOff bool) func(*Server, []string) error {
	return func(s *Server, words []string) error {
		if mayBeOff && (words[0] == "off" || words[0] == "false") { // YAML 1.1 readers take off for false
			*field(s) = Off
			return nil
		}
		number, err := parsePort(words[0])
		*field(s) = number
		return err
	}
}

func parsePort(word string) (int, error) {
	number, err := strconv.ParseUint(word, 10, 16)
	if err != nil {
		return 0, fault.New("config.value.port", word)
	}
	return int(number), nil
}

// maxDataPorts bounds the range: each port is a listening socket.
const maxDataPorts = 1024

func parseDataPorts(s *Server, words []string) error {
	low, high, isRange := strings.Cut(words[0], "-")
	if !isRange {
		high = low
	}
	first, err := parsePort(strings.TrimSpace(low))
	if err != nil {
		return err
	}
	last, err := parsePort(strings.TrimSpace(high))
	if err != nil {
		return err
	}
	if last < first || last-first >= maxDataPorts || first == 0 && last > 0 {
		return fault.New("config.value.ports", words[0], maxDataPorts)
	}
	s.DataPorts = Ports{first, last}
	return nil
}

func parsePublicIP(s *Server, words []string) error {
	s.PublicIP = ""
	if words[0] == "" {
		return nil
	}
	addr, err := netip.ParseAddr(words[0])
	// PASV can only name an IPv4 address (RFC 959 §4.1.2), and EPSV names none.
	switch {
	case err == nil && addr.Unmap().Is4() && !addr.IsUnspecified():
		s.PublicIP = addr.Unmap().String()
	case err != nil && isHostName(words[0]):
		s.PublicIP = words[0]
	default:
		return fault.New("config.value.ipv4", words[0])
	}
	return nil
}

// hostLabel is one part of a name (RFC 1123 §2.1).
var hostLabel = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// isHostName tells a name from what was meant to be an address: the last
// part of a name is not a number.
func isHostName(word string) bool {
	labels := strings.Split(strings.TrimSuffix(word, "."), ".")
	for _, label := range labels {
		if !hostLabel.MatchString(label) {
			return false
		}
	}
	_, err := strconv.Atoi(labels[len(labels)-1])
	return err != nil && len(word) <= 253
}

func parseProxyFrom(s *Server, words []string) (err error) {
	s.ProxyFrom, err = networks(words)
	return err
}

func parseNeverBan(s *Server, words []string) (err error) {
	if len(words) == 1 && (words[0] == None || words[0] == "false") { // YAML 1.1 readers take off for false
		s.NeverBan = nil
		return nil
	}
	s.NeverBan, err = networks(words)
	return err
}

// networks reads addresses and networks, in one word or in several.
func networks(words []string) (all []netip.Prefix, err error) {
	for _, word := range strings.Split(strings.Join(words, ","), ",") {
		if word = strings.TrimSpace(word); word == "" {
			if len(words) == 0 {
				continue
			}
			return nil, fault.New("config.value.empty")
		}
		prefix, err := users.ParsePrefix(word)
		if err != nil {
			return nil, err
		}
		if prefix.Bits() == 0 {
			return nil, fault.New("config.value.everyone", word)
		}
		all = append(all, prefix)
	}
	return all, nil
}

func parseMinRate(s *Server, words []string) (err error) {
	s.MinRate, err = users.ParseSize(words[0])
	return err
}

// orOff is parse for a setting that may be off, which a zero means as well.
func orOff(parse func(*Server, []string) error, off func(*Server)) func(*Server, []string) error {
	return func(s *Server, words []string) error {
		switch words[0] {
		case None, "false", "0": // YAML 1.1 readers take off for false
			off(s)
			return nil
		}
		return parse(s, words)
	}
}

func parseUmask(s *Server, words []string) error {
	mask, err := strconv.ParseUint(strings.TrimPrefix(words[0], "0o"), 8, 16)
	if err != nil || mask > 0o777 {
		return fault.New("config.value.umask", words[0])
	}
	s.Umask = fs.FileMode(mask)
	return nil
}

func parseLevel(s *Server, words []string) error {
	if s.LogLevel.UnmarshalText([]byte(words[0])) != nil {
		return fault.New("config.value.choice", words[0], strings.Join([]string{"debug", "info", "warn", "error"}, ", "))
	}
	return nil
}

func parseMetrics(s *Server, words []string) error {
	s.Metrics = words[0]
	if words[0] == None || words[0] == "false" { // YAML 1.1 readers take off for false
		s.Metrics = None
		return nil
	}
	_, number, err := net.SplitHostPort(words[0])
	if err == nil {
		_, err = parsePort(number)
	}
	if err != nil {
		return fault.New("config.value.address", words[0])
	}
	return nil
}

// parseDomains reads the names that a public authority certifies: whole ones,
// in small letters, as they stand in the certificate.
func parseDomains(s *Server, words []string) error {
	s.ACMEDomains = nil
	for _, word := range words {
		name := strings.ToLower(strings.TrimSuffix(word, "."))
		if !isHostName(name) || !strings.Contains(name, ".") {
			return fault.New("config.value.domain", word)
		}
		s.ACMEDomains = append(s.ACMEDomains, name)
	}
	return nil
}

func parseListen(s *Server, words []string) error {
	s.ACMEListen = nil
	for _, word := range words {
		_, number, err := net.SplitHostPort(word)
		if err == nil {
			_, err = parsePort(number)
		}
		if err != nil {
			return fault.New("config.value.address", word)
		}
		s.ACMEListen = append(s.ACMEListen, word)
	}
	return nil
}

// parseStoreURL reads the address of an object store. What stands before an @
// would be a secret in a place where it is shown.
func parseStoreURL(s *Server, words []string) error {
	if s.S3Endpoint = nil; words[0] == "" {
		return nil
	}
	u, err := url.Parse(words[0])
	switch {
	case err != nil || u.User != nil:
		return fault.New("config.value.store", "…")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return fault.New("config.value.store", words[0])
	}
	s.S3Endpoint = u
	return nil
}

// secureURL reads an https address, or nothing.
func secureURL(field func(*Server) *string) func(*Server, []string) error {
	return func(s *Server, words []string) error {
		if words[0] != "" {
			if u, err := url.Parse(words[0]); err != nil || u.Scheme != "https" || u.Host == "" {
				return fault.New("config.value.url", words[0])
			}
		}
		*field(s) = words[0]
		return nil
	}
}

func parseLang(s *Server, words []string) error {
	if words[0] == "" {
		return nil
	}
	lang, ok := catalog.ParseLang(words[0])
	if !ok {
		return fault.New("config.value.choice", words[0], fmt.Sprintf("%v, %v", catalog.English, catalog.Spanish))
	}
	s.Lang = lang.String()
	return nil
}

// toWords turns what viper holds into the words a parser takes.
func toWords(row Setting, value any) ([]string, error) {
	switch value := value.(type) {
	case []string:
		return value, nil
	case string:
		if row.List { // the environment has one string for many
			return strings.Split(value, ","), nil
		}
		return []string{value}, nil
	case []any:
		if !row.List {
			return nil, fault.New("config.value.list")
		}
		var words []string
		for _, item := range value {
			switch item.(type) {
			case []any, map[string]any, nil:
				return nil, fault.New("config.value.scalar")
			}
			words = append(words, fmt.Sprint(item))
		}
		return words, nil
	case map[string]any:
		return nil, fault.New("config.value.scalar")
	}
	return []string{fmt.Sprint(value)}, nil
}

func oneWord(value any) string {
	words, _ := toWords(Setting{}, value)
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// flagValue is a flag that checks its value when it is parsed, with the
// setting's own parser.
type flagValue struct {
	row   Setting
	word  string
	words []string
	set   bool
}

func (f *flagValue) String() string { return strings.Join(f.words, ",") }

// Type is the word for the value in help.
func (f *flagValue) Type() string { return f.word }

func (f *flagValue) Set(word string) error {
	if err := f.row.parse(&Server{}, []string{word}); err != nil {
		return err
	}
	if !f.row.List || !f.set {
		f.words = nil
	}
	f.words, f.set = append(f.words, word), true
	return nil
}

func flagWords(flag *pflag.Flag) []string {
	if own, ok := flag.Value.(*flagValue); ok {
		return own.words
	}
	return []string{flag.Value.String()}
}
