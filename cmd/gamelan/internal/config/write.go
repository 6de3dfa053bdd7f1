package config

import (
	"fmt"
	"strings"
)

// width is the width of the comments in a file.
const width = 78

// Default returns the default value as in a file, or in words if it is not fixed.
func (s *Setting) Default() string {
	if s.Dynamic != "" {
		return s.Dynamic
	}
	return inTOML(s.get(defaults()))
}

// facts returns the lines about a setting beside its text.
func (s *Setting) facts() [][2]string {
	all := [][2]string{{"type", string(s.Kind)}}
	add := func(name, text string) {
		if text != "" {
			all = append(all, [2]string{name, text})
		}
	}
	add("unit", s.Unit())
	add("range", s.Range())
	add("default", s.Default())
	reload := "takes a restart"
	if s.Reload {
		reload = "is taken over on HUP"
	}
	add("a change", reload)
	add("variable", s.variableExample())
	add("flag", s.flagExample())
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
func (s *Setting) Facts() Explanation {
	return Explanation{s.Key, s.Doc, s.Kind, s.Unit(), s.Range(), s.Default(), s.Reload, s.Variable(), "--" + s.FlagName(), s.Example}
}

// Explain returns the description of the setting for people.
func (s *Setting) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n\n", s.Key, wrap(s.Doc, "", width))
	for _, f := range s.facts() {
		fmt.Fprintf(&b, "  %-9s %s\n", f[0], f[1])
	}
	fmt.Fprintf(&b, "  %-9s %s\n", "file", s.fileExample())
	return b.String()
}

// File returns a file with every setting in a comment, none of them set.
func File() string {
	var b strings.Builder
	b.WriteString("# Configuration of gamelan. Every setting stands here as a comment with its\n" +
		"# default, or with an example where the default is no fixed value. Check a\n" +
		"# change with \"gamelan config check\"; more about a setting is shown by\n" +
		"# \"gamelan config explain KEY\". Variables and flags come before this file.\n")
	section := ""
	for i := range Settings {
		s := &Settings[i]
		if s.Section() != section {
			section = s.Section()
			fmt.Fprintf(&b, "\n%s\n[%s]\n", wrap(sectionDoc(section), "# ", width), section)
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
		fmt.Fprintf(&b, "\n%s\n#%s = %s\n", wrap(text, "# ", width), s.Name(), value)
	}
	return b.String()
}

func sectionDoc(name string) string {
	for _, s := range Sections {
		if s.Name == name {
			return s.Doc
		}
	}
	return ""
}

// Markdown returns the reference of all settings for docs/configuration.md.
func Markdown() string {
	var b strings.Builder
	section := "-"
	for i := range Settings {
		s := &Settings[i]
		if s.Section() != section {
			section = s.Section()
			if section == "" {
				b.WriteString("### Above all sections\n")
			} else {
				fmt.Fprintf(&b, "\n### [%s]\n\n%s\n", section, sectionDoc(section))
			}
		}
		fmt.Fprintf(&b, "\n**%s** · %s", s.Name(), s.Kind)
		if r := s.Range(); r != "" {
			fmt.Fprintf(&b, ", %s", r)
		}
		if s.Dynamic != "" {
			fmt.Fprintf(&b, " · default: %s", s.Dynamic)
		} else {
			fmt.Fprintf(&b, " · default `%s`", s.Default())
		}
		if s.Reload {
			b.WriteString(" · HUP")
		}
		if f := s.GoField(); f != "" {
			fmt.Fprintf(&b, " · Go: `%s`", f)
		}
		fmt.Fprintf(&b, "\n%s\n\n```\n%s = %s\n%s\ngamelan node %s\n```\n", s.Doc, s.Name(), s.Example, s.variableExample(), s.flagExample())
	}
	return b.String()
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
