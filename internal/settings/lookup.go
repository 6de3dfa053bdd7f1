package settings

import (
	"slices"
	"strings"
	"unicode"
)

// Lookup returns the settings for a key, the name of a section, a variable, or a flag with
// or without its dashes.
func (t *Table) Lookup(word string) []*Row {
	var found, section []*Row
	flag := strings.TrimLeft(word, "-")
	for _, s := range t.Rows {
		if s.Key == word || s.Variable() == word || s.FlagName() == flag || s.Kind == Switch && "no-"+s.FlagName() == flag {
			found = append(found, s)
		}
		if s.Section() != "" && s.Section() == strings.Trim(word, "[]") {
			section = append(section, s)
		}
	}
	if t.isSection(strings.Trim(word, "[]")) { // --dht is a flag, dht a section
		return section
	}
	return found
}

// maxAbout is the greatest number of suggestions.
const maxAbout = 3

// About returns the keys of settings that word may mean, at most three: first those with a
// similar name, then those whose description contains it.
func (t *Table) About(word string) []string {
	bare := strings.ToLower(strings.TrimPrefix(strings.TrimLeft(word, "-"), "GAMELAN_"))
	if near := t.Meant(bare); near != "" {
		return []string{near}
	}
	var keys []string
	for _, s := range t.Rows {
		if slices.Contains(wordsOf(s.Key+" "+s.FlagName()+" "+s.Doc+" "+s.Dynamic), bare) {
			keys = append(keys, s.Key)
		}
	}
	return keys[:min(len(keys), maxAbout)]
}

func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
