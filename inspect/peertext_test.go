package inspect

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestFindPeer(t *testing.T) {
	key := strings.Repeat("ab", 32)
	ids := []string{nodeA, nodeC, nodeC[:20] + "ffffff"}
	peers := func(yield func(string, string) bool) {
		for i, id := range ids {
			if !yield(id, []string{key, "", ""}[i]) {
				return
			}
		}
	}
	for text, want := range map[string][]string{
		nodeA: {nodeA}, strings.ToUpper(nodeA): {nodeA}, nodeA[:5]: {nodeA}, key: {nodeA}, "ABAB": {nodeA},
		nodeC: {nodeC}, nodeC[:20]: ids[1:], "": nil, "x": nil, key + "0": nil,
	} {
		last, got := FindPeer(text, peers)
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		if at := len(want) - 1; at >= 0 && ids[last] != want[at] || at < 0 && last != -1 {
			t.Errorf("%q: got index %d, want that of the last of %q", text, last, want)
		}
	}
	if last, got := FindPeer("a", maps.All(map[string]string{})); last != -1 || got != nil {
		t.Errorf("of none: got %d %q", last, got)
	}
}

func TestCandidates(t *testing.T) {
	if got := Candidates([]string{"a", "b", "c", "d", "e", "f", "g"}); got != "a, b, c, d, e and 2 more" {
		t.Errorf("got %q", got)
	}
	if e := Ambiguous("ab\x1b", []string{"ab1", "ab2"}); e.Code != CodeBadQuery || strings.Contains(e.Message, "\x1b") || e.Hint == "" {
		t.Errorf("got %+v, want a mistake of the query, escaped, with a hint", e)
	}
}
