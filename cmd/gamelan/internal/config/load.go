package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Sources are the sources of settings; later fields override earlier ones.
type Sources struct {
	Files   []string            // the first that exists is read
	Own     int                 // how many of the first Files are in the user's home; they are passed over if that is another user's
	Named   bool                // the file was named, so it must exist
	Environ []string            // as os.Environ returns it
	Flags   map[string][]string // by the key of the setting
}

// Origin is the source of one value.
type Origin struct {
	Kind string `json:"origin"`         // "default", "file", "environment" or "flag"
	Name string `json:"name,omitempty"` // the file, the variable, or the flag with its dashes
	Line int    `json:"line,omitempty"` // in the file
}

// String returns "default", "FILE:12", "GAMELAN_MUX_WINDOW" or "--mux-window".
func (o Origin) String() string {
	switch {
	case o.Line > 0:
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	case o.Name != "":
		return o.Name
	}
	return o.Kind
}

// Loaded are the settings of all sources.
type Loaded struct {
	Config   Config
	File     string     // the file that was read, empty for none
	Problems []*Problem // in the order of the sources and lines
	Notes    []string   // sentences about ignored variables
	origins  map[string]Origin
}

// Load reads the sources. It omits values with a problem; a node must not be started with
// any. All errors are among the problems.
func Load(s Sources) *Loaded {
	l := &Loaded{Config: own(), origins: map[string]Origin{}}
	l.readFiles(s)
	l.readEnviron(s.Environ)
	l.readFlags(s.Flags)
	if len(l.Problems) == 0 {
		l.checkTogether()
	}
	return l
}

// LoadFile reads one file alone.
func LoadFile(path string) *Loaded { return Load(Sources{Files: []string{path}, Named: true}) }

// Origin returns the source of the value of a key.
func (l *Loaded) Origin(key string) Origin {
	if o, ok := l.origins[key]; ok {
		return o
	}
	return Origin{Kind: "default"}
}

// DataDir returns the data directory that the sources name, or "" for the default. unknown
// are the problems because of which the directory is not certain: they are in its own
// source or in one that could override it.
func (l *Loaded) DataDir() (dir string, from Origin, unknown []*Problem) {
	from = l.Origin("data_dir")
	for _, p := range l.Problems {
		if (p.Key == "data_dir" || p.hidesDataDir) && p.rank() >= ranks[from.Kind] {
			unknown = append(unknown, p)
		}
	}
	return l.Config.Node.DataDir, from, unknown
}

// ranks orders the kinds of origins; a greater one overrides a smaller one.
var ranks = map[string]int{"default": 0, "file": 1, "environment": 2, "flag": 3}

func (p *Problem) rank() int {
	switch {
	case p.Flag != "":
		return ranks["flag"]
	case p.Variable != "":
		return ranks["environment"]
	}
	return ranks["file"]
}

func (l *Loaded) readFiles(s Sources) {
	for i, path := range s.Files {
		b, err := readFile(path)
		if !s.Named && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) {
			continue
		}
		if !s.Named && i < s.Own && errors.Is(err, fs.ErrPermission) {
			l.Notes = append(l.Notes, fmt.Sprintf("%s cannot be read by this user and was passed over; HOME and XDG_CONFIG_HOME say where it is", path))
			continue
		}
		l.File = path
		if err != nil {
			reason := err
			if p := (*fs.PathError)(nil); errors.As(err, &p) {
				reason = p.Err
			}
			l.Problems = append(l.Problems, &Problem{
				File: path, Message: "the file cannot be read: " + reason.Error(), Expected: "a TOML file that this user may read",
				Example: "one made with gamelan config init", hidesDataDir: true,
			})
			return
		}
		l.readDocument(path, b)
		return
	}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

func (l *Loaded) readDocument(path string, b []byte) {
	doc, problem := readDocument(b)
	if problem != nil {
		problem.File = path
		l.Problems = append(l.Problems, problem)
		return
	}
	for key, e := range doc {
		s, ok := Find(key)
		if !ok {
			p := unknown(key, e.raw)
			p.File, p.Line = path, e.line
			l.Problems = append(l.Problems, p)
			continue
		}
		l.take(s, e.raw, Origin{"file", path, e.line})
	}
	slices.SortStableFunc(l.Problems, func(a, b *Problem) int {
		return cmp.Or(a.Line-b.Line, strings.Compare(a.Key, b.Key))
	})
}

// unknown returns the problem of a key that is no setting. It does not show the value,
// which might be a secret.
func unknown(key string, raw any) *Problem {
	p := &Problem{Key: secretLike.ReplaceAllString(key, "***"), Message: "there is no setting " + quote(key), Expected: "one that gamelan config init lists", Example: settingsExample.fileExample()}
	if _, ok := raw.(map[string]any); ok {
		p.Message = "there is no section " + quote(key)
		var names []string
		for _, s := range Sections {
			names = append(names, s.Name)
		}
		p.Expected = "one of " + strings.Join(names, ", ")
		if near := nearest(key, names); near != "" {
			p.Message += ", did you mean [" + near + "]?"
		}
		return p
	}
	if isSection(key) {
		p.Message, p.Expected, p.Example = fmt.Sprintf("%s is %s", quote(key), typeName(raw)), "a section", "["+key+"] on a line of its own"
		return p
	}
	if s, ok := Find(Meant(key)); ok {
		p.Message += ", did you mean " + s.Key + "?"
		p.Expected, p.Example = s.expected(), s.fileExample()
	}
	return p
}

// settingsExample is the setting for examples in problems without a setting.
var settingsExample = func() *Setting { s, _ := Find("log.level"); return s }()

// readEnviron reads the variables of settings. It refuses a variable that is spelt almost
// like one of a setting. It ignores others that begin with GAMELAN_ and a section, with a
// note, because container systems make such variables, too.
func (l *Loaded) readEnviron(environ []string) {
	known := map[string]*Setting{}
	var names []string
	for i := range Settings {
		v := Settings[i].Variable()
		known[v] = &Settings[i]
		names = append(names, strings.ToLower(v))
	}
	environ = slices.Sorted(slices.Values(environ))
	for _, e := range environ {
		name, text, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "GAMELAN_") || text == "" { // an empty variable counts as not set
			continue
		}
		if s, ok := known[name]; ok {
			l.take(s, s.fromText(text), Origin{Kind: "environment", Name: name})
			continue
		}
		if near := strings.ToUpper(nearest(name, names)); near != "" {
			s := known[near]
			l.Problems = append(l.Problems, &Problem{
				Variable: name, Message: "there is no such variable, did you mean " + near + "?", Expected: s.expected(), Example: s.variableExample(),
			})
		} else if section, _, ok := strings.Cut(strings.ToLower(strings.TrimPrefix(name, "GAMELAN_")), "_"); ok && isSection(section) {
			l.Notes = append(l.Notes, fmt.Sprintf("%s is no variable of a setting and was passed over", name))
		}
	}
}

func (l *Loaded) readFlags(flags map[string][]string) {
	for i := range Settings {
		s := &Settings[i]
		texts, ok := flags[s.Key]
		if !ok {
			continue
		}
		var raw any
		if s.List() {
			list := make([]any, len(texts))
			for i, t := range texts {
				list[i] = s.entryFromText(t)
			}
			raw = list
		} else {
			raw = s.fromText(texts[len(texts)-1])
		}
		l.take(s, raw, Origin{Kind: "flag", Name: "--" + s.FlagName()})
	}
}

// take sets a setting, or adds the problem of its value.
func (l *Loaded) take(s *Setting, raw any, from Origin) {
	v, err := s.parse(raw)
	if err == nil && from.Kind == "file" {
		err = s.checkPath(v)
	}
	if err != nil {
		value := show(s.masked(raw))
		if e := (*elementError)(nil); errors.As(err, &e) && e.of == 1 { // name the only entry, not the list
			value = e.text
		}
		l.Problems = append(l.Problems, s.problem(from, fmt.Sprintf("%s cannot be %s: %s", s.Key, value, err)))
		return
	}
	s.put(&l.Config, v)
	l.origins[s.Key] = from
}

// problem returns a problem of the setting, at the source of its value.
func (s *Setting) problem(from Origin, message string) *Problem {
	p := &Problem{Key: s.Key, Message: message, Expected: s.expected(), Example: s.fileExample()}
	switch from.Kind {
	case "file":
		p.File, p.Line = from.Name, from.Line
	case "environment":
		p.Variable, p.Example = from.Name, s.variableExample()
	case "flag":
		p.Flag, p.Example = s.FlagName(), s.flagExample()
	}
	return p
}

// fileExample returns an example line of a file, with its section.
func (s *Setting) fileExample() string {
	line := s.Name() + " = " + s.Example
	if section := s.Section(); section != "" {
		line += " under [" + section + "]"
	}
	return line
}

func (s *Setting) variableExample() string { return s.Variable() + "=" + shellWord(s.bareExample()) }

func (s *Setting) flagExample() string {
	switch {
	case s.Kind == Switch && s.Example == "false":
		return "--no-" + s.FlagName()
	case s.Kind == Switch:
		return "--" + s.FlagName()
	}
	return "--" + s.FlagName() + " " + shellWord(s.bareExample())
}

// bareExample returns the example without the quotes and brackets of TOML.
func (s *Setting) bareExample() string {
	return strings.NewReplacer(`"`, "", "[", "", "]", "").Replace(s.Example)
}

func shellWord(s string) string {
	if strings.ContainsAny(s, " '\"$`\\") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// checkTogether adds a problem for each conflict between settings.
func (l *Loaded) checkTogether() {
	l.Problems = append(l.Problems, l.ProblemsOf(l.Config.ForNode().Validate())...)
}

// ProblemsOf returns a problem for each error of a node about its Config. It ignores other
// errors.
func (l *Loaded) ProblemsOf(err error) []*Problem {
	if bad, ok := err.(*gamelan.ConfigError); ok {
		if p := l.problemOf(bad); p != nil {
			return []*Problem{p}
		}
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*Problem
		for _, e := range many.Unwrap() {
			all = append(all, l.ProblemsOf(e)...)
		}
		return all
	}
	if err = errors.Unwrap(err); err != nil {
		return l.ProblemsOf(err)
	}
	return nil
}

// problemOf returns the problem at the source of the setting, or, if that is a default, of
// one of the settings with which it conflicts.
func (l *Loaded) problemOf(bad *gamelan.ConfigError) *Problem {
	s := l.settingOf(bad.Field)
	if s == nil {
		return nil
	}
	text, others := l.words(s, bad)
	from := l.Origin(s.Key)
	at := s
	for _, other := range others {
		if from.Kind == "default" {
			at, from = other, l.Origin(other.Key)
		}
	}
	p := at.problem(from, s.Key+" does not work with the other settings: "+text)
	p.Key = s.Key
	return p
}

// settingOf returns the setting of a field of the node's Config. If several settings belong
// to the field, it prefers one that was set.
func (l *Loaded) settingOf(field string) *Setting {
	var c Config
	f := reflect.ValueOf(&c.Node).Elem()
	if below, ok := strings.CutPrefix(field, "DHT."); ok {
		f, field = reflect.ValueOf(&c.DHT).Elem(), below
	}
	if below, ok := strings.CutPrefix(field, "Inbox."); ok {
		f, field = reflect.ValueOf(&c.Inbox).Elem(), below
	}
	for name := range strings.SplitSeq(field, ".") {
		if f.Kind() != reflect.Struct {
			return nil
		}
		if f = f.FieldByName(name); !f.IsValid() {
			return nil
		}
	}
	from, to := f.Addr().Pointer(), f.Addr().Pointer()+f.Type().Size()
	var found *Setting
	for i := range Settings {
		s := &Settings[i]
		if at := reflect.ValueOf(s.at(&c)).Pointer(); at < from || at >= to {
			continue
		}
		if found == nil || l.Origin(found.Key).Kind == "default" {
			found = s
		}
	}
	return found
}

// fieldNames finds the words in an error that may be names of fields of the node's Config.
var fieldNames = regexp.MustCompile(`\b(DHT\.)?[A-Z][A-Za-z]+\b`)

// words returns the text of an error of a node's Config for the author of the settings:
// with settings and their sources in place of field names. of is the setting of the error;
// others are the settings that the text names.
func (l *Loaded) words(of *Setting, bad *gamelan.ConfigError) (text string, others []*Setting) {
	text = strings.TrimPrefix(bad.Err.Error(), "mux: invalid config: ")
	text = fieldNames.ReplaceAllStringFunc(text, func(name string) string {
		switch name {
		case "NoDHT":
			if s, ok := Find("dht.enabled"); ok {
				others = append(others, s)
			}
			return "dht.enabled = false"
		case "Tor", "SOCKS": // the words
			return name
		case "ListenNowhere":
			return `"nowhere"`
		}
		s := l.settingOf(name)
		if part, _, below := strings.Cut(bad.Field, "."); below { // a field beside the bad one comes first
			s = cmp.Or(l.settingOf(part+"."+name), s)
		}
		if s == nil || s.Key == "dht.enabled" {
			return name
		}
		first := !slices.Contains(others, s)
		others = append(others, s)
		if from := l.Origin(s.Key); first && s != of && from.Kind != "default" {
			return s.Key + " (" + from.String() + ")"
		}
		return s.Key
	})
	return secretLike.ReplaceAllString(text, "***"), others
}

// Network returns the network that the settings name, or localnet.
func (l *Loaded) Network() (protocol.Network, error) {
	if l.Config.Node.Network == "" {
		return protocol.LocalNet, nil
	}
	return protocol.ParseNetwork(l.Config.Node.Network)
}
