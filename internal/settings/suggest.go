package settings

import "strings"

// nearest returns the word that s was probably meant to be, or "" if none is similar.
func nearest(s string, words []string) string {
	best, least := "", 3
	for _, w := range words {
		if d := Distance(strings.ToLower(s), w); d < least && d*2 < len(w) {
			best, least = w, d
		}
	}
	return best
}

// Distance returns how many letters must be inserted, deleted, changed, or swapped with
// their neighbour to turn a into b.
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	var before, last []int
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		before, last, row = last, row, make([]int, len(y)+1)
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(y)]
}

// Meant returns the key that an unknown one was probably meant to be: for "enabled" a switch
// that turns its section off, else a key with a similar spelling, or one of the same name in
// another section. It returns "" if there is none.
func (t *Table) Meant(key string) string {
	name := key[strings.LastIndexByte(key, '.')+1:]
	keys, names := make([]string, len(t.Rows)), make([]string, len(t.Rows))
	for i, r := range t.Rows {
		keys[i], names[i] = r.Key, r.Name()
	}
	if name == "enabled" { // it would be the switch of this section that turns it off
		for _, r := range t.Rows {
			if r.Section()+".enabled" == key && r.Kind == Switch && strings.HasPrefix(r.Name(), "no_") {
				return r.Key
			}
		}
	}
	if k := nearest(key, keys); k != "" {
		return k
	}
	for _, n := range []string{name, nearest(name, names)} {
		for i := range names {
			if n == names[i] {
				return keys[i]
			}
		}
	}
	return ""
}
