package users

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"ftps/pkg/fault"
	"ftps/pkg/vfs"
)

// maxFile is the size beyond which a file is not a list of accounts.
const maxFile = 64 << 20

// Load reads a users.yaml. Where it has mistakes the error is a [Problems],
// which is ErrInvalid, with all of them; a file that group or others may
// write is ErrWritable; one that is not there is fs.ErrNotExist.
func Load(path string) (*List, error) {
	text, _, err := read(path)
	if err != nil {
		return nil, err
	}
	doc, err := parse(path, text, enforced)
	if err != nil {
		return nil, err
	}
	return doc.list, nil
}

// read returns the content of the file, and what it was read from.
func read(path string) ([]byte, os.FileInfo, error) {
	// A FIFO of that name must not hold the program up: O_NONBLOCK.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fault.Wrap(err, "users.file.missing", path)
	}
	if err != nil {
		return nil, nil, fault.Wrap(err, "users.file.unreadable", path, reason(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fault.Wrap(err, "users.file.unreadable", path, reason(err))
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fault.Wrap(ErrNotFile, "users.file.irregular", path)
	}
	// Who may write the file may log in as anyone.
	if info.Mode().Perm()&0o022 != 0 {
		return nil, nil, fault.Wrap(ErrWritable, "users.file.writable", path, info.Mode().Perm().String())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, fault.Wrap(err, "users.file.unreadable", path, reason(err))
	}
	if len(text) > maxFile {
		return nil, nil, fault.Wrap(ErrInvalid, "users.file.large", path, FormatSize(maxFile))
	}
	return text, info, nil
}

// reason returns what the operating system said, without the path that the
// message names anyway.
func reason(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err.Error()
	}
	return err.Error()
}

// enforced reports whether the server does what a key says.
func enforced(name string) bool {
	for _, k := range keys {
		if k.name == name {
			return k.enforced
		}
	}
	return false
}

// document is a file that was parsed, with the nodes that an edit goes by.
type document struct {
	list  *List
	root  *yaml.Node   // the outermost mapping, or nil in a file without one
	value *yaml.Node   // what stands behind users:, or nil
	items []*yaml.Node // the accounts' mappings, in the order of list
}

type parser struct {
	path     string
	enforced func(key string) bool
	problems Problems
}

func (p *parser) complain(line int, err error) {
	p.problems = append(p.problems, &Problem{p.path, line, err})
}

// parse reads the text of a users.yaml; path is for messages.
func parse(path string, text []byte, enforced func(string) bool) (*document, error) {
	p := &parser{path: path, enforced: enforced}
	doc := p.document(text)
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	return doc, nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (p *parser) document(text []byte) *document {
	doc := &document{list: NewList()}
	if !utf8.Valid(text) {
		p.complain(1, fault.New("users.yaml.utf8"))
		return doc
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root, second yaml.Node
	err := decoder.Decode(&root)
	if err == nil {
		err = decoder.Decode(&second)
		if err == nil {
			p.complain(max(second.Line, 1), fault.New("users.yaml.second"))
			return doc
		}
	}
	if !errors.Is(err, io.EOF) {
		line := 1
		said := err.Error()
		if m := yamlLine.FindStringSubmatch(said); m != nil {
			line, _ = strconv.Atoi(m[1])
			said = said[len(m[0]):]
		}
		p.complain(max(line, 1), fault.Wrap(err, "users.yaml.syntax", said))
		return doc
	}
	if root.Kind == 0 || len(root.Content) == 0 || isNull(root.Content[0]) {
		return doc // nothing, or nothing but comments
	}
	doc.root = root.Content[0]
	if !p.plain(doc.root) {
		return doc
	}
	if doc.root.Kind != yaml.MappingNode {
		p.complain(doc.root.Line, fault.New("users.type.root"))
		return doc
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(doc.root.Content); i += 2 {
		name, value := doc.root.Content[i], doc.root.Content[i+1]
		if !p.fresh(name, seen) {
			continue
		}
		if name.Value != "users" {
			p.complain(name.Line, fault.New("users.key.unknown", shown(name), "users"))
			continue
		}
		doc.value = value
		p.accounts(doc)
	}
	return doc
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// plain reports whether n has none of YAML's machinery: an alias or a tag
// makes an entry mean something else than it says.
func (p *parser) plain(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		p.complain(n.Line, fault.New("users.yaml.machinery"))
		return false
	}
	return true
}

// fresh checks a key: a plain word that did not occur before.
func (p *parser) fresh(name *yaml.Node, seen map[string]int) bool {
	if !p.plain(name) {
		return false
	}
	if name.Kind != yaml.ScalarNode || name.ShortTag() != "!!str" {
		p.complain(name.Line, fault.New("users.key.odd", shown(name)))
		return false
	}
	if first, twice := seen[name.Value]; twice {
		p.complain(name.Line, fault.New("users.key.twice", name.Value, first))
		return false
	}
	seen[name.Value] = name.Line
	return true
}

func (p *parser) accounts(doc *document) {
	if !p.plain(doc.value) || isNull(doc.value) {
		return
	}
	if doc.value.Kind != yaml.SequenceNode {
		p.complain(doc.value.Line, fault.New("users.type.users"))
		return
	}
	var accounts []User
	names := map[string]int{}
	for _, item := range doc.value.Content {
		u, ok := p.account(item)
		if u.Name != "" {
			if first, twice := names[u.Name]; twice {
				p.complain(u.Line, fault.New("users.name.twice", u.Name, first))
				continue
			}
			names[u.Name] = u.Line
		}
		if ok {
			accounts = append(accounts, u)
			doc.items = append(doc.items, item)
		}
	}
	doc.list = NewList(accounts...)
}

// account reads one entry; what is missing in it gets its default.
func (p *parser) account(item *yaml.Node) (User, bool) {
	u := User{Line: item.Line, Perm: vfs.ReadWrite}
	before := len(p.problems)
	if !p.plain(item) {
		return u, false
	}
	if item.Kind != yaml.MappingNode {
		p.complain(item.Line, fault.New("users.type.account", shown(item)))
		return u, false
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(item.Content); i += 2 {
		name, value := item.Content[i], item.Content[i+1]
		if p.fresh(name, seen) {
			p.field(name, value, &u)
		}
	}
	for _, must := range []string{"name", "password"} {
		if _, ok := seen[must]; !ok {
			p.complain(item.Line, fault.New("users.key.missing", must))
		}
	}
	if u.Home == "" {
		u.Home = u.Name
	}
	return u, len(p.problems) == before
}

func (p *parser) field(name, value *yaml.Node, u *User) {
	for _, k := range keys {
		if k.name != name.Value || k.read == nil {
			continue
		}
		if !p.enforced(k.name) {
			p.complain(name.Line, fault.New("users.key.unenforced", k.name))
			return
		}
		if !p.plain(value) {
			return
		}
		for _, word := range value.Content {
			if !p.plain(word) {
				return
			}
		}
		if isNull(value) {
			p.complain(name.Line, fault.New("users.key.empty", k.name))
			return
		}
		if err := k.read(p, value, u); err != nil {
			p.complain(value.Line, fault.Wrap(err, "users.key.value", k.name, err))
		}
		return
	}
	p.complain(name.Line, fault.New("users.key.unknown", shown(name), keyNames()))
}

// keyNames are the keys an entry may have, with commas.
func keyNames() string {
	names := ""
	for _, k := range keys {
		if k.read != nil && k.enforced {
			if names != "" {
				names += ", "
			}
			names += k.name
		}
	}
	return names
}
