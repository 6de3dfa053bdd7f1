package settings

import (
	"fmt"
	"strings"
)

// Width is the width of the comments in a file.
const Width = 78

// Default returns the default value as in a file, or in words if it is not fixed.
func (r *Row) Default() string {
	if r.Dynamic != "" {
		return r.Dynamic
	}
	return TOML(r.form(r.def))
}

// facts returns the lines about a setting beside its text.
func (r *Row) facts() [][2]string {
	all := [][2]string{{"type", string(r.Kind)}}
	add := func(name, text string) {
		if text != "" {
			all = append(all, [2]string{name, text})
		}
	}
	add("unit", r.Unit())
	add("range", r.Range())
	add("default", r.Default())
	reload := "takes a restart"
	if r.Reload {
		reload = "is taken over on HUP"
	}
	add("a change", reload)
	add("variable", r.VariableExample())
	add("flag", r.FlagExample())
	return all
}

// Explanation is the description of a setting, for programs.
type Explanation struct {
	Key      string `json:"key"`
	Doc      string `json:"doc"`
	Type     Kind   `json:"type"`
	Unit     string `json:"unit,omitempty"`
	Range    string `json:"range,omitempty"`
	Default  string `json:"default"`
	Reload   bool   `json:"reload"`
	Variable string `json:"variable"`
	Flag     string `json:"flag"`
	Example  string `json:"example"`
}

// Facts returns the description of the setting for programs.
func (r *Row) Facts() Explanation {
	return Explanation{r.Key, r.Doc, r.Kind, r.Unit(), r.Range(), r.Default(), r.Reload, r.Variable(), "--" + r.FlagName(), r.Example}
}

// Explain returns the description of the setting for people.
func (r *Row) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n\n", r.Key, wrap(r.Doc, "", Width))
	for _, f := range r.facts() {
		fmt.Fprintf(&b, "  %-9s %s\n", f[0], f[1])
	}
	fmt.Fprintf(&b, "  %-9s %s\n", "file", r.FileExample())
	return b.String()
}

// File returns a file with every setting in a comment, none of them set.
func (t *Table) File() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Configuration of %[1]s. Every setting stands here as a comment with its\n"+
		"# default, or with an example where the default is no fixed value. Check a\n"+
		"# change with \"%[1]s config check\"; more about a setting is shown by\n"+
		"# \"%[1]s config explain KEY\". Variables and flags come before this file.\n", t.Program)
	section := ""
	for _, s := range t.Rows {
		if s.Section() != section {
			section = s.Section()
			fmt.Fprintf(&b, "\n%s\n[%s]\n", wrap(t.sectionDoc(section), "# ", Width), section)
		}
		value := s.Default()
		text := s.Doc
		if s.Dynamic != "" {
			value = s.Example
			text += " Default: " + s.Dynamic + "."
		}
		if r := s.Range(); r != "" {
			text += " Range: " + r + "."
		}
		if s.Reload {
			text += " A change is taken over on HUP."
		}
		fmt.Fprintf(&b, "\n%s\n#%s = %s\n", wrap(text, "# ", Width), s.Name(), value)
	}
	return b.String()
}

func (t *Table) sectionDoc(name string) string {
	for _, s := range t.Sections {
		if s.Name == name {
			return s.Doc
		}
	}
	return ""
}

// wrap breaks text into lines that begin with prefix.
func wrap(text, prefix string, width int) string {
	var b strings.Builder
	line := prefix
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case len(line)+1+len(word) > width:
			b.WriteString(line + "\n")
			line = prefix
		default:
			line += " "
		}
		line += word
	}
	b.WriteString(line)
	return b.String()
}
