package checklist

import (
	"strings"
	"testing"
)

func TestParseCitation(t *testing.T) {
	tests := []struct{ text, want string }{
		{"comms 31", "comms 31"},
		{" comms 31, 33-35", "comms 31 comms 33 comms 34 comms 35"},
		{"comms 1–2; V 12", "comms 1 comms 2 V 12"},
		{"comms 81, V12, V 14.", "comms 81 V 12 V 14"},
		{"V 8 (both roles)", "V 8"},
		{"31", "error"},
		{"comms", "error"},
		{"comms 3-1", "error"},
		{"comms 31,", "error"},
		{"comms 31 and more", "error"},
		{"", "error"},
	}
	for _, tt := range tests {
		found, err := parseCitation(tt.text)
		var parts []string
		for _, c := range found {
			parts = append(parts, c.Area, Ranges([]int{c.Number}))
		}
		got := strings.Join(parts, " ")
		if err != nil {
			got = "error"
		}
		if got != tt.want {
			t.Errorf("%q: got %s (%v), want %s", tt.text, got, err, tt.want)
		}
	}
}

const list = `# A checklist

Area: demo
Claimed: 1-2, 4
Later: 3

## A. Things
1. One thing.
2. Another.
3. A third.
   1. Not an item, since it is indented.
4. The last.
`

func TestChecklistErrors(t *testing.T) {
	for name, text := range map[string]string{
		"out of order":    strings.Replace(list, "2. Another", "1. Another", 1),
		"unnamed item":    strings.Replace(list, "Later: 3", "Later: none", 1),
		"named twice":     strings.Replace(list, "Later: 3", "Later: 3-4", 1),
		"unknown claimed": strings.Replace(list, "Later: 3", "Later: 3, 9", 1),
	} {
		if _, err := parseChecklist(text); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}
