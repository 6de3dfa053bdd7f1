package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// long is a sentence of 31 words.
var long = "A" + strings.Repeat(" b", 30)

func testWords(t *testing.T) []word {
	t.Helper()
	words, err := parseWords("[everywhere]\nanew = again\nhang(s)? up = close\n[users]\ncredit = room\n")
	if err != nil {
		t.Fatal(err)
	}
	return words
}

func TestRead(t *testing.T) {
	wide := strings.Repeat("é", 201)
	tests := []struct {
		name, text string
		want       counts
	}{
		{"30 words", long[:len(long)-2] + ".", counts{}},
		{"31 words", long + ".", counts{1, 0, 0}},
		{"31 words over two lines", long[:20] + "\n" + long[20:] + ".", counts{1, 0, 0}},
		{"two sentences", long[:40] + ". " + long[:40] + "! (Is it?) " + long[:40], counts{}},
		{"a point that ends none", "A b c, e.g. " + long[:40] + " i.e. " + long[:40], counts{1, 0, 0}},
		{"a number", "A 0.1 " + long[:40] + " 2.5 " + long[:40], counts{1, 0, 0}},
		{"signs are no words", long[:len(long)-2] + " – × |", counts{}},
		{"code is one word", "`" + long + "` anew", counts{0, 0, 1}},
		{"a fence", "```\n" + wide + " anew\n" + long + "\n```\n~~~ text\n```\nanew\n~~~\nanew", counts{0, 0, 1}},
		{"a comment", "<!-- anew\n" + long + " -->\nanew", counts{0, 0, 1}},
		{"a link", "[anew](" + strings.ReplaceAll(long, " ", "%20") + "anew)", counts{0, 0, 1}},
		{"items", "- " + long[:40] + "\n- " + long[:40] + "\n1. " + long[:40] + "\n  " + long[:40], counts{1, 0, 0}},
		{"a heading", "# " + long[:40] + "\n" + long[:40], counts{}},
		{"a quote", "> " + long[:40] + "\n> " + long[:40], counts{1, 0, 0}},
		{"a row", "| " + long[:40] + " | " + long[:40] + " |\n|---|---|\n| " + long + " | `a|anew` b\\|c anew |", counts{1, 0, 1}},
		{"a long line", wide, counts{0, 1, 0}},
		{"one of 200", wide[:400], counts{}},
		{"a long row", "| " + wide + " |", counts{}},
		{"words", "Anew hangs\nup; hang up. Hanging up, anewly, credits. Credit", counts{0, 0, 4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := read(tt.text, testWords(t))
			if count(got) != tt.want {
				t.Errorf("got %v of %q, want %v", got, tt.text, tt.want)
			}
		})
	}
}

func TestReadNamesThePlace(t *testing.T) {
	got := read("One.\n\nTwo\n"+long+".\n", testWords(t))
	want := []finding{{longSentence, 3, "32 words: Two " + long + "."}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWordsForContributors(t *testing.T) {
	got := count(read("Credit anew.", wordsFor(testWords(t), true)))
	if want := (counts{0, 0, 1}); got != want {
		t.Errorf("got %v, want %v: credit is a word for contributors", got, want)
	}
}

// tree makes a repository of pages.
func tree(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	files["tools/prose/counts.txt"] += ""
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestRun(t *testing.T) {
	other := strings.Replace(long, "A", "The", 1)
	tests := []struct {
		name          string
		page, text    string
		counts        string
		check, accept bool
		err           bool
		out           string // what is printed contains this
		after         string // what counts.txt contains then, but for its first line
	}{
		{"as it was", "docs/a.md", long, "   1    0    0 docs/a.md\n", true, false, false, "", "   1    0    0 docs/a.md\n"},
		{"more", "docs/a.md", long + ". " + other, "   1    0    0 docs/a.md\n", true, false, true, "docs/a.md: sentences over 30 words: 2, at most 1", "   1    0    0 docs/a.md\n"},
		{"more of another kind", "docs/a.md", strings.Repeat("c", 201), "   1    0    0 docs/a.md\n", true, false, true, "docs/a.md:1: a line of 201 characters", "   1    0    0 docs/a.md\n"},
		{"less is fine", "docs/a.md", "Short.", "   1    0    0 docs/a.md\n", true, false, false, "", "   1    0    0 docs/a.md\n"},
		{"a new page", "docs/b.md", "One.\n\n" + long, "", true, false, true, "docs/b.md:3: 31 words: A b", ""},
		{"less is written", "docs/a.md", "Short.", "   1    0    0 docs/a.md\n", false, false, false, "", ""},
		{"less of one kind and more of another", "docs/a.md", strings.Repeat("c", 201), "   1    0    0 docs/a.md\n", false, false, true, "at most 0", ""},
		{"more is not written", "docs/a.md", long + ". " + other, "   1    0    0 docs/a.md\n", false, false, true, "at most 1", "   1    0    0 docs/a.md\n"},
		{"more is accepted", "docs/a.md", long + ". " + other, "   1    0    0 docs/a.md\n", false, true, false, "", "   2    0    0 docs/a.md\n"},
		{"a page at zero", "docs/install.md", long, "   1    0    0 docs/install.md\n", false, true, true, "docs/install.md: sentences over 30 words: 1, at most 0", ""},
		{"a page that is skipped", "docs/licences.md", long, "", true, false, false, "", ""},
		{"a page that is gone", "docs/a.md", "Short.", "   1    0    0 docs/gone.md\n", false, false, false, "", ""},
		{"no page", "docs/testdata/a.md", long, "", true, false, false, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := tree(t, map[string]string{tt.page: tt.text, "tools/prose/counts.txt": tt.counts})
			var out bytes.Buffer
			err := run(&out, root, tt.check, tt.accept, false, nil)
			if (err != nil) != tt.err || !strings.Contains(out.String(), tt.out) || tt.out == "" && out.Len() > 0 {
				t.Errorf("got %q, %v, want %q and an error: %v", out.String(), err, tt.out, tt.err)
			}
			after, err := os.ReadFile(filepath.Join(root, "tools/prose/counts.txt"))
			if err != nil {
				t.Fatal(err)
			}
			if got := withoutHead(string(after)); got != tt.after {
				t.Errorf("got counts %q, want %q", got, tt.after)
			}
		})
	}
}

// withoutHead returns the text of a counts file without its comment.
func withoutHead(text string) string {
	if _, rest, ok := strings.Cut(text, "\n"); ok && strings.HasPrefix(text, "#") {
		return rest
	}
	return text
}

func TestList(t *testing.T) {
	root := tree(t, map[string]string{"docs/a.md": "One.\n\nIt stands still."})
	var out bytes.Buffer
	if err := run(&out, root, false, false, true, []string{"docs/a.md"}); err != nil || !strings.Contains(out.String(), `docs/a.md:3: "stands still", say: stall`) {
		t.Errorf("got %q, %v, want the word and its place", out.String(), err)
	}
	if err := run(&out, root, false, false, true, []string{"docs/b.md"}); err == nil {
		t.Error("got no error for a page that does not exist")
	}
}

func TestFaultyFiles(t *testing.T) {
	for _, text := range []string{"anew = again\n", "[somewhere]\n", "[users]\nanew\n", "[users]\nanew = \n", "[users]\n( = again\n"} {
		if got, err := parseWords(text); err == nil {
			t.Errorf("got words %v of %q, want an error", got, text)
		}
	}
	for _, text := range []string{"skip\n", "never README.md\n", "zero a b\n"} {
		if got, err := parsePages(text); err == nil {
			t.Errorf("got pages %v of %q, want an error", got, text)
		}
	}
	for _, text := range []string{"1 2 docs/a.md\n", "a b c d\n"} {
		if got, err := parseCounts(text); err == nil {
			t.Errorf("got counts %v of %q, want an error", got, text)
		}
	}
}

// TestOwnFiles finds a faulty line of words.txt and pages.txt, and a page of the latter that does not exist.
func TestOwnFiles(t *testing.T) {
	words, err := parseWords(wordsFile)
	if err != nil || len(words) < 20 {
		t.Errorf("got %d words, %v", len(words), err)
	}
	rules, err := parsePages(pagesFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{skip, contributors} {
		for _, name := range rules[what] {
			if _, err := os.Stat(filepath.Join("../..", name)); err != nil && name != "docs/census.md" { // made by make census
				t.Errorf("got %s %s in pages.txt: %v", what, name, err)
			}
		}
	}
}
