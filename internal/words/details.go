package words

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Details returns a text that a peer chose in a form that is safe to keep and to show: at most most bytes of UTF-8
// without control and format characters.
func Details(text []byte, most int) string {
	safe := strings.ToValidUTF8(string(text[:min(len(text), most)]), "\uFFFD")
	return Cut(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, safe), most)
}

// Cut shortens text to at most most bytes of whole characters.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}
