package settings

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
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
type Loaded[C any] struct {
	Config   C
	File     string         // the file that was read, empty for none
	Problems []*Problem     // in the order of the sources and lines
	Notes    []string       // sentences about ignored variables
	Rest     map[string]any // sections of the file that the table leaves to the program
	table    *Table
	origins  map[string]Origin
}

// New returns settings that no source has set yet; c is the struct without them.
func New[C any](t *Table, c C) *Loaded[C] {
	return &Loaded[C]{Config: c, table: t, origins: map[string]Origin{}}
}

// Load reads the sources into l, and checks the struct if nothing else is wrong. It omits values
// with a problem. All errors are among the problems.
func (l *Loaded[C]) Load(s Sources, check func(*C) error) *Loaded[C] {
	l.readFiles(s)
	l.readEnviron(s.Environ)
	l.readFlags(s.Flags)
	if len(l.Problems) == 0 {
		l.Problems = l.ProblemsOf(check(&l.Config))
	}
	return l
}

// Origin returns the source of the value of a key.
func (l *Loaded[C]) Origin(key string) Origin {
	if o, ok := l.origins[key]; ok {
		return o
	}
	return Origin{Kind: "default"}
}

// Uncertain returns the problems because of which the value of a setting is not certain: they are
// in its own source or in one that could override it.
func (l *Loaded[C]) Uncertain(key string) (all []*Problem) {
	for _, p := range l.Problems {
		if (p.Key == key || p.hides) && p.rank() >= ranks[l.Origin(key).Kind] {
			all = append(all, p)
		}
	}
	return all
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

func (l *Loaded[C]) readFiles(s Sources) {
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
				Example: "one made with " + l.table.writer(), hides: true,
			})
			return
		}
		l.ReadDocument(path, b)
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

// ReadDocument reads the content of a file.
func (l *Loaded[C]) ReadDocument(path string, b []byte) {
	doc, problem := l.table.readDocument(b)
	if problem != nil {
		problem.File = path
		l.Problems = append(l.Problems, problem)
		return
	}
	for key, e := range doc {
		r, ok := l.table.Find(key)
		if !ok && l.table.leaves(key, e.raw) {
			if l.Rest == nil {
				l.Rest = map[string]any{}
			}
			l.Rest[key] = e.raw
			continue
		}
		if !ok {
			p := l.table.unknown(key, e.raw)
			p.File, p.Line = path, e.line
			l.Problems = append(l.Problems, p)
			continue
		}
		l.take(r, e.raw, Origin{"file", path, e.line})
	}
	slices.SortStableFunc(l.Problems, func(a, b *Problem) int {
		return cmp.Or(a.Line-b.Line, strings.Compare(a.Key, b.Key))
	})
}

// leaves reports whether an unknown key is a section of the program. One that is spelt almost like
// one of the table is not.
func (t *Table) leaves(key string, raw any) bool {
	_, ok := raw.(map[string]any)
	return t.Rest && ok && !strings.Contains(key, ".") && nearest(key, t.sectionNames()) == ""
}

func (t *Table) sectionNames() (names []string) {
	for _, s := range t.Sections {
		names = append(names, s.Name)
	}
	return names
}

// unknown returns the problem of a key that is no setting. It does not show the value,
// which might be a secret.
func (t *Table) unknown(key string, raw any) *Problem {
	p := &Problem{
		Key: secretLike.ReplaceAllString(key, "***"), Message: "there is no setting " + quote(key),
		Expected: t.keys(), Example: t.example(),
	}
	if _, ok := raw.(map[string]any); ok {
		p.Message = "there is no section " + quote(key)
		names := t.sectionNames()
		if len(names) > 0 {
			p.Expected = "one of " + strings.Join(names, ", ")
		}
		if near := nearest(key, names); near != "" {
			p.Message += ", did you mean [" + near + "]?"
		}
		return p
	}
	if t.isSection(key) {
		p.Message, p.Expected, p.Example = fmt.Sprintf("%s is %s", quote(key), typeName(raw)), "a section", "["+key+"] on a line of its own"
		return p
	}
	if r, ok := t.Find(t.Meant(key)); ok {
		p.Message += ", did you mean " + r.Key + "?"
		p.Expected, p.Example = r.Expected(), r.FileExample()
	}
	return p
}

// readEnviron reads the variables of settings. It refuses a variable that is spelt almost
// like one of a setting. It ignores others that begin with GAMELAN_ and a section, with a
// note, because container systems make such variables, too.
func (l *Loaded[C]) readEnviron(environ []string) {
	known := map[string]*Row{}
	var names []string
	for _, r := range l.table.Rows {
		v := r.Variable()
		known[v] = r
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
				Variable: name, Message: "there is no such variable, did you mean " + near + "?", Expected: s.Expected(), Example: s.VariableExample(),
			})
		} else if section, _, ok := strings.Cut(strings.ToLower(strings.TrimPrefix(name, "GAMELAN_")), "_"); ok && l.table.isSection(section) {
			l.Notes = append(l.Notes, fmt.Sprintf("%s is no variable of a setting and was passed over", name))
		}
	}
}

func (l *Loaded[C]) readFlags(flags map[string][]string) {
	for _, s := range l.table.Rows {
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
func (l *Loaded[C]) take(s *Row, raw any, from Origin) {
	v, err := s.parse(raw)
	if err == nil && from.Kind == "file" {
		err = s.checkPath(v)
	}
	if text, ok := v.(string); err == nil && ok && s.names(text) {
		err = s.Open(text)
	}
	if inside, ok := errors.AsType[Problems](err); ok { // of the file that the value names
		l.Problems = append(l.Problems, inside...)
		return
	}
	if err != nil {
		value := show(s.Masked(raw))
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
func (r *Row) problem(from Origin, message string) *Problem {
	p := &Problem{Key: r.Key, Message: message, Expected: r.Expected(), Example: r.FileExample()}
	switch from.Kind {
	case "file":
		p.File, p.Line = from.Name, from.Line
	case "environment":
		p.Variable, p.Example = from.Name, r.VariableExample()
	case "flag":
		p.Flag, p.Example = r.FlagName(), r.FlagExample()
	}
	return p
}

// FileExample returns an example line of a file, with its section.
func (r *Row) FileExample() string {
	line := r.Name() + " = " + r.Example
	if section := r.Section(); section != "" {
		line += " under [" + section + "]"
	}
	return line
}

func (r *Row) VariableExample() string { return r.Variable() + "=" + shellWord(r.BareExample()) }

func (r *Row) FlagExample() string {
	switch {
	case r.Kind == Switch && r.Example == "false":
		return "--no-" + r.FlagName()
	case r.Kind == Switch:
		return "--" + r.FlagName()
	}
	return "--" + r.FlagName() + " " + shellWord(r.BareExample())
}

// BareExample returns the example without the quotes and brackets of TOML.
func (r *Row) BareExample() string {
	return strings.NewReplacer(`"`, "", "[", "", "]", "").Replace(r.Example)
}

func shellWord(s string) string {
	if strings.ContainsAny(s, " '\"$`\\") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// ProblemsOf returns a problem for each error of a struct about its fields. It ignores other
// errors.
func (l *Loaded[C]) ProblemsOf(err error) []*Problem {
	if field, cause, ok := l.table.Fault(err); ok {
		if p := l.problemOf(field, cause); p != nil {
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
func (l *Loaded[C]) problemOf(field string, cause error) *Problem {
	r := l.rowOf(field)
	if r == nil {
		return nil
	}
	text, others := l.words(r, field, cause.Error())
	from := l.Origin(r.Key)
	at := r
	for _, other := range others {
		if from.Kind == "default" {
			at, from = other, l.Origin(other.Key)
		}
	}
	p := at.problem(from, r.Key+" does not work with the other settings: "+text)
	p.Key = r.Key
	return p
}

// rowOf returns the setting of a field. Of the settings in a field that is a struct, it prefers one
// that was set.
func (l *Loaded[C]) rowOf(field string) *Row {
	var found *Row
	for _, r := range l.table.Rows {
		if r.Field != field && !strings.HasPrefix(r.Field, field+".") {
			continue
		}
		if found == nil || l.Origin(found.Key).Kind == "default" {
			found = r
		}
	}
	return found
}

// fieldNames finds the words in an error that may be names of fields.
var fieldNames = regexp.MustCompile(`\b([A-Z][A-Za-z]+\.)*[A-Z][A-Za-z]+\b`)

// words returns the text of an error about a field for the author of the settings: with settings
// and their sources in place of field names. of is the setting of the error; others are the
// settings that the text names.
func (l *Loaded[C]) words(of *Row, field, text string) (_ string, others []*Row) {
	beside := field[:strings.LastIndexByte(field, '.')+1]
	text = fieldNames.ReplaceAllStringFunc(text, func(name string) string {
		if word, ok := l.table.Words[name]; ok {
			return word
		}
		r := l.table.ofField(beside + name) // one beside the bad one comes first
		if r == nil {
			r = l.table.ofField(name)
		}
		if r == nil {
			return name
		}
		first := !slices.Contains(others, r)
		others = append(others, r)
		from := l.Origin(r.Key)
		switch {
		case r.Not:
			return r.Key + " = false"
		case first && r != of && from.Kind != "default":
			return r.Key + " (" + from.String() + ")"
		}
		return r.Key
	})
	return secretLike.ReplaceAllString(text, "***"), others
}

func (t *Table) ofField(field string) *Row {
	i := slices.IndexFunc(t.Rows, func(r *Row) bool { return r.Field == field })
	if i < 0 {
		return nil
	}
	return t.Rows[i]
}
