package ftpserver

import (
	"context"
	"slices"
	"strings"

	"ftps/pkg/vfs"
)

// handler does one command and returns its one final reply: that there is
// exactly one is a matter of its type.
type handler func(s *session, ctx context.Context, a arg) (reply, error)

// beginner checks a transfer command and prepares its transfer; the session
// sends the preliminary reply, runs it and sends the final one.
type beginner func(s *session, ctx context.Context, a arg) (*transfer, error)

// row is one command.
type row struct {
	verb   string
	syntax string // of the argument, in the words of the RFCs
	arg    argKind
	need   need
	perm   vfs.Perm // of these rights at least one; 0 for none
	timing timing

	do    handler  // serial and urgent commands
	begin beginner // transfers

	ahead  bool // its file may come ahead of the 1yz, see ahead.go
	secret bool // what stands behind it is nobody's business, a trace's neither

	feat []string // FEAT lines
	help string   // catalogue key of one line
	rfc  string   // where it is defined
}

// argKind says what stands behind a verb.
type argKind uint8

const (
	argNone    argKind = iota // nothing
	argText                   // something
	argMaybe                  // something or nothing
	argPath                   // a path
	argFolder                 // a path, or the working folder
	argListing                // a path, perhaps behind options, perhaps with a pattern; or the working folder
	argNumber                 // a decimal number from 0 to 2^63-1
)

// need is what must hold before a command runs.
type need uint8

const (
	needTLS       need = 1 << iota // the control connection is under TLS
	needLogin                      // and somebody has logged in
	needProtected                  // and PROT P was said (RFC 4217 §10.2)
)

// The needs come in steps: each includes the ones before.
const (
	free   need = 0
	secure      = needTLS
	login       = secure | needLogin
	data        = login | needProtected
)

// timing says when a command may run.
type timing uint8

const (
	serial  timing = iota // after the transfer in progress
	lengthy               // the same, and it may take long: who wants to end the session need not wait for it
	brief                 // lengthy, but seldom: tried without waiting first
	urgent                // at once, also while a transfer runs
)

// commands returns the table. (It is a function because HELP reads the table
// it stands in.)
func commands() []row {
	return []row{
		// Protection: RFC 2228 §3, RFC 4217.
		{verb: "AUTH", syntax: "<SP> TLS", arg: argText, need: free, do: auth, feat: []string{"AUTH TLS"}, help: "reply.help.auth", rfc: "RFC 2228 §3, 4217 §4"},
		{verb: "PBSZ", syntax: "<SP> 0", arg: argText, need: free, do: pbsz, feat: []string{"PBSZ"}, help: "reply.help.pbsz", rfc: "RFC 2228 §3, 4217 §9"},
		{verb: "PROT", syntax: "<SP> P", arg: argText, need: free, do: prot, feat: []string{"PROT"}, help: "reply.help.prot", rfc: "RFC 2228 §3, 4217 §9"},
		{verb: "CCC", arg: argMaybe, need: free, do: never("reply.ccc"), help: "reply.help.ccc", rfc: "RFC 2228 §3, 4217 §5"},
		{verb: "MIC", syntax: "<SP> text", arg: argMaybe, need: free, do: never("reply.armour"), help: "reply.help.armour", rfc: "RFC 2228 §3"},
		{verb: "CONF", syntax: "<SP> text", arg: argMaybe, need: free, do: never("reply.armour"), help: "reply.help.armour", rfc: "RFC 2228 §3"},
		{verb: "ENC", syntax: "<SP> text", arg: argMaybe, need: free, do: never("reply.armour"), help: "reply.help.armour", rfc: "RFC 2228 §3"},
		{verb: "ADAT", syntax: "<SP> text", arg: argMaybe, need: free, do: never("reply.adat"), secret: true, help: "reply.help.armour", rfc: "RFC 2228 §3"},

		// Login: RFC 959 §4.1.1.
		{verb: "HOST", syntax: "<SP> name", arg: argText, need: free, do: host, feat: []string{"HOST"}, help: "reply.help.host", rfc: "RFC 7151 §3"},
		{verb: "USER", syntax: "<SP> name", arg: argText, need: secure, timing: lengthy, do: user, help: "reply.help.user", rfc: "RFC 959 §4.1.1"},
		{verb: "PASS", syntax: "<SP> password", arg: argMaybe, need: secure, timing: lengthy, do: pass, secret: true, help: "reply.help.pass", rfc: "RFC 959 §4.1.1"},
		{verb: "ACCT", syntax: "<SP> text", arg: argMaybe, need: secure, do: never("reply.acct"), secret: true, help: "reply.help.acct", rfc: "RFC 959 §4.1.1"},
		{verb: "REIN", arg: argNone, need: secure, do: rein, help: "reply.help.rein", rfc: "RFC 959 §4.1.1, 4217 §13"},
		{verb: "QUIT", arg: argMaybe, need: free, do: quit, help: "reply.help.quit", rfc: "RFC 959 §4.1.1"},
		{verb: "SMNT", syntax: "<SP> path", arg: argMaybe, need: login, do: never("reply.smnt"), help: "reply.help.smnt", rfc: "RFC 959 §4.1.1"},

		// Folders.
		{verb: "CWD", syntax: "<SP> path", arg: argPath, need: login, do: cwd, feat: []string{"TVFS"}, help: "reply.help.cwd", rfc: "RFC 959 §4.1.1"},
		{verb: "CDUP", arg: argNone, need: login, do: cdup, help: "reply.help.cdup", rfc: "RFC 959 §4.1.1"},
		{verb: "PWD", arg: argNone, need: login, do: pwd, help: "reply.help.pwd", rfc: "RFC 959 §4.1.3"},
		{verb: "MKD", syntax: "<SP> path", arg: argPath, need: login, perm: vfs.Mkdir, do: mkd, help: "reply.help.mkd", rfc: "RFC 959 §4.1.3"},
		{verb: "RMD", syntax: "<SP> path", arg: argPath, need: login, perm: vfs.Delete, do: rmd, help: "reply.help.rmd", rfc: "RFC 959 §4.1.3"},

		{verb: "RMDA", syntax: "<SP> path", arg: argPath, need: login, perm: vfs.Delete, timing: lengthy, do: rmda, feat: []string{"RMDA <path>"}, help: "reply.help.rmda", rfc: "draft-peterson-streamlined-ftp-command-extensions §5"},
		{verb: "XCWD", syntax: "<SP> path", arg: argPath, need: login, do: cwd, help: "reply.help.cwd", rfc: "RFC 775, 1123 §4.1.3.1"},
		{verb: "XCUP", arg: argNone, need: login, do: cdup, help: "reply.help.cdup", rfc: "RFC 775, 1123 §4.1.3.1"},
		{verb: "XPWD", arg: argNone, need: login, do: pwd, help: "reply.help.pwd", rfc: "RFC 775, 1123 §4.1.3.1"},
		{verb: "XMKD", syntax: "<SP> path", arg: argPath, need: login, perm: vfs.Mkdir, do: mkd, help: "reply.help.mkd", rfc: "RFC 775, 1123 §4.1.3.1"},
		{verb: "XRMD", syntax: "<SP> path", arg: argPath, need: login, perm: vfs.Delete, do: rmd, help: "reply.help.rmd", rfc: "RFC 775, 1123 §4.1.3.1"},

		// How a transfer is to be.
		{verb: "TYPE", syntax: "<SP> A | I", arg: argText, need: login, do: typ, help: "reply.help.type", rfc: "RFC 959 §3.1.1, §4.1.2"},
		{verb: "MODE", syntax: "<SP> S | B | Z", arg: argText, need: login, do: mode, feat: []string{"MODE Z", "X-PIPELINE"}, help: "reply.help.mode", rfc: "RFC 959 §3.4, §4.1.2"},
		{verb: "STRU", syntax: "<SP> F", arg: argText, need: login, do: stru, help: "reply.help.stru", rfc: "RFC 959 §3.1.2, §4.1.2"},
		{verb: "PASV", arg: argNone, need: data, timing: brief, do: pasv, help: "reply.help.pasv", rfc: "RFC 959 §4.1.2"},
		{verb: "EPSV", syntax: "[<SP> 1 | 2 | ALL]", arg: argMaybe, need: data, timing: brief, do: epsv, feat: []string{"EPSV"}, help: "reply.help.epsv", rfc: "RFC 2428 §3"},
		{verb: "PORT", syntax: "<SP> h1,h2,h3,h4,p1,p2", arg: argText, need: data, do: port, help: "reply.help.port", rfc: "RFC 959 §4.1.2, 2577 §3"},
		{verb: "EPRT", syntax: "<SP> |family|address|port|", arg: argText, need: data, do: eprt, feat: []string{"EPRT"}, help: "reply.help.port", rfc: "RFC 2428 §2"},
		{verb: "PRET", syntax: "<SP> command", arg: argText, need: login, do: pret, feat: []string{"PRET"}, help: "reply.help.pret", rfc: "as DrFTPD and lftp speak it"},
		{verb: "RANG", syntax: "<SP> first <SP> last", arg: argText, need: login, do: rang, feat: []string{"RANG STREAM"}, help: "reply.help.rang", rfc: "draft-bryan-ftp-range §3"},
		{verb: "REST", syntax: "<SP> offset", arg: argNumber, need: login, do: rest, feat: []string{"REST STREAM"}, help: "reply.help.rest", rfc: "RFC 3659 §5"},
		{verb: "ALLO", syntax: "<SP> bytes", arg: argText, need: login, do: allo, help: "reply.help.allo", rfc: "RFC 959 §4.1.3"},

		// Transfers.
		{verb: "RETR", syntax: "<SP> path", arg: argPath, need: data, perm: vfs.Read, begin: retrieve, help: "reply.help.retr", rfc: "RFC 959 §4.1.3"},
		{verb: "STOR", syntax: "<SP> path", arg: argPath, need: data, perm: vfs.Write, timing: lengthy, begin: store, ahead: true, help: "reply.help.stor", rfc: "RFC 959 §4.1.3"},
		{verb: "APPE", syntax: "<SP> path", arg: argPath, need: data, perm: vfs.Append, timing: lengthy, begin: appendTo, help: "reply.help.appe", rfc: "RFC 959 §4.1.3"},
		{verb: "STOU", arg: argMaybe, need: data, perm: vfs.Write, begin: stou, help: "reply.help.stou", rfc: "RFC 959 §4.1.3, 1123 §4.1.2.9"},
		{verb: "LIST", syntax: "[<SP> path]", arg: argListing, need: data, perm: vfs.List, begin: list, help: "reply.help.list", rfc: "RFC 959 §4.1.3"},
		{verb: "NLST", syntax: "[<SP> path]", arg: argListing, need: data, perm: vfs.List, begin: nlst, help: "reply.help.nlst", rfc: "RFC 959 §4.1.3"},
		{verb: "MLSD", syntax: "[<SP> path]", arg: argFolder, need: data, perm: vfs.List, begin: mlsd, help: "reply.help.mlsd", rfc: "RFC 3659 §7"},
		{verb: "ABOR", arg: argNone, need: login, timing: urgent, do: abor, help: "reply.help.abor", rfc: "RFC 959 §4.1.3"},

		// Files.
		{verb: "MLST", syntax: "[<SP> path]", arg: argFolder, need: login, perm: vfs.List, do: mlst, help: "reply.help.mlst", rfc: "RFC 3659 §7"},
		{verb: "SIZE", syntax: "<SP> path", arg: argPath, need: login, perm: vfs.Read | vfs.List, do: size, feat: []string{"SIZE"}, help: "reply.help.size", rfc: "RFC 3659 §4"},
		{verb: "MDTM", syntax: "<SP> path", arg: argPath, need: login, perm: vfs.Read | vfs.List, do: mdtm, feat: []string{"MDTM"}, help: "reply.help.mdtm", rfc: "RFC 3659 §3"},
		{verb: "MFMT", syntax: "<SP> time <SP> path", arg: argText, need: login, perm: vfs.Chtime, do: mfmt, feat: []string{"MFMT"}, help: "reply.help.mfmt", rfc: "draft-somers-ftp-mfxx §3"},
		{verb: "MFF", syntax: "<SP> facts <SP> path", arg: argText, need: login, perm: vfs.Chtime, do: mff, feat: []string{"MFF Modify;UNIX.mode;"}, help: "reply.help.mff", rfc: "draft-somers-ftp-mfxx §5"},
		{verb: "MFCT", syntax: "<SP> time <SP> path", arg: argMaybe, need: login, do: never("reply.mfct"), help: "reply.help.mfct", rfc: "draft-somers-ftp-mfxx §4"},
		{verb: "HASH", syntax: "<SP> path", arg: argPath, need: login, perm: vfs.Read | vfs.List, timing: lengthy, do: hashFile, help: "reply.help.hash", rfc: "draft-bryan-ftpext-hash §3"},
		{verb: "XSHA256", syntax: "<SP> path", arg: argText, need: login, perm: vfs.Read | vfs.List, timing: lengthy, do: oldHash("XSHA256"), feat: []string{"XSHA256"}, help: "reply.help.hash", rfc: "as clients before HASH have it"},
		{verb: "XSHA512", syntax: "<SP> path", arg: argText, need: login, perm: vfs.Read | vfs.List, timing: lengthy, do: oldHash("XSHA512"), feat: []string{"XSHA512"}, help: "reply.help.hash", rfc: "as clients before HASH have it"},
		{verb: "XSHA1", syntax: "<SP> path", arg: argText, need: login, perm: vfs.Read | vfs.List, timing: lengthy, do: oldHash("XSHA1"), feat: []string{"XSHA1"}, help: "reply.help.hash", rfc: "as clients before HASH have it"},
		{verb: "XMD5", syntax: "<SP> path", arg: argText, need: login, perm: vfs.Read | vfs.List, timing: lengthy, do: oldHash("XMD5"), feat: []string{"XMD5"}, help: "reply.help.hash", rfc: "as clients before HASH have it"},
		{verb: "XCRC", syntax: "<SP> path", arg: argText, need: login, perm: vfs.Read | vfs.List, timing: lengthy, do: oldHash("XCRC"), feat: []string{"XCRC"}, help: "reply.help.hash", rfc: "as clients before HASH have it"},
		{verb: "AVBL", syntax: "[<SP> path]", arg: argFolder, need: login, perm: vfs.Write | vfs.List, do: avbl, feat: []string{"AVBL"}, help: "reply.help.avbl", rfc: "draft-peterson-streamlined-ftp-command-extensions §4"},
		{verb: "DELE", syntax: "<SP> path", arg: argPath, need: login, perm: vfs.Delete, do: dele, help: "reply.help.dele", rfc: "RFC 959 §4.1.3"},
		{verb: "RNFR", syntax: "<SP> path", arg: argPath, need: login, perm: vfs.Rename, do: rnfr, help: "reply.help.rnfr", rfc: "RFC 959 §4.1.3"},
		{verb: "RNTO", syntax: "<SP> path", arg: argPath, need: login, perm: vfs.Rename, do: rnto, help: "reply.help.rnto", rfc: "RFC 959 §4.1.3"},

		// Talk.
		{verb: "FEAT", arg: argNone, need: free, do: feat, help: "reply.help.feat", rfc: "RFC 2389 §3"},
		{verb: "OPTS", syntax: "<SP> UTF8 ON | MLST facts | HASH name | STOR words", arg: argText, need: free, do: opts, feat: []string{"UTF8"}, help: "reply.help.opts", rfc: "RFC 2389 §4, 3659 §7.9"},
		{verb: "LANG", syntax: "[<SP> tag]", arg: argMaybe, need: free, do: lang, help: "reply.help.lang", rfc: "RFC 2640 §4"},
		{verb: "CLNT", syntax: "<SP> name", arg: argMaybe, need: free, do: clnt, help: "reply.help.clnt", rfc: "as FileZilla and WinSCP send it"},
		{verb: "CSID", syntax: "<SP> facts", arg: argMaybe, need: free, do: csid, feat: []string{"CSID"}, help: "reply.help.csid", rfc: "draft-peterson-streamlined-ftp-command-extensions §3"},
		{verb: "SYST", arg: argNone, need: secure, do: syst, help: "reply.help.syst", rfc: "RFC 959 §4.1.3"},
		{verb: "STAT", syntax: "[<SP> path]", arg: argMaybe, need: login, timing: urgent, do: stat, help: "reply.help.stat", rfc: "RFC 959 §4.1.3"},
		{verb: "HELP", syntax: "[<SP> verb]", arg: argMaybe, need: free, do: help, help: "reply.help.help", rfc: "RFC 959 §4.1.3"},
		{verb: "SITE", syntax: "<SP> CHMOD | CPFR | CPTO | HELP | IDLE | UTIME", arg: argText, need: login, timing: lengthy, do: site, help: "reply.help.site", rfc: "RFC 959 §4.1.3"},
		{verb: "NOOP", arg: argMaybe, need: free, do: noop, help: "reply.help.noop", rfc: "RFC 959 §4.1.3"},
	}
}

// foreign are first words of other protocols. Whoever says them on a control
// port is not speaking FTP: a browser led here by a hostile page, most of
// all. The connection is closed without reflecting a byte of it.
var foreign = []string{
	"GET", "POST", "PUT", "HEAD", "PATCH", "DELETE", "TRACE", "CONNECT", "OPTIONS", "PROPFIND",
	"HELO", "EHLO", "MAIL", "RCPT", "DATA", "STARTTLS", "BDAT",
}

// Command describes one command of the table, for documentation.
type Command struct {
	Verb   string
	Syntax string
	Help   string // catalogue key
	RFC    string
	Feat   []string
}

// Commands lists the commands in alphabetical order.
func Commands() []Command {
	var list []Command
	for _, r := range commands() {
		list = append(list, Command{r.verb, r.syntax, r.help, r.rfc, r.feat})
	}
	slices.SortFunc(list, func(a, b Command) int { return strings.Compare(a.Verb, b.Verb) })
	return list
}
