package tests

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// peerReleases are the columns of docs/compatibility.md: what tests/interop
// runs against.
var peerReleases = []string{"6.2.0", "1.0.0-rc.5"}

// ofThePeers are those in tests/interop that say nothing of us, or nothing of these releases.
var ofThePeers = []string{"TestMain", "TestPeersAreBuilt", "TestTariNodesCallEachOther", "TestFromTree"}

// compatible is a row: a feature and the test that proves it.
type compatible struct {
	feature, test, file string
	bothWays            bool
	releases            []string
	notes               map[string]string
}

// TestCompatibilityTable holds docs/compatibility.md against the tests in
// tests/interop, from whose comments it is made:
//
//	// feature: the row of the table that the test proves
//	// note: 6.2.0: what that release does differently
//
// With -update it writes the file.
func TestCompatibilityTable(t *testing.T) {
	const path = "docs/compatibility.md"
	rows := compatibilities(t)
	if len(rows) < 10 {
		t.Fatalf("got %d tests with a feature in tests/interop, want all of them", len(rows))
	}
	kit.WantPage(t, path, compatibilityTable(rows))
}

func compatibilities(t *testing.T) []compatible {
	t.Helper()
	files, err := filepath.Glob("interop/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var rows []compatible
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(fn.Name.Name, "Test") || slices.Contains(ofThePeers, fn.Name.Name) {
				continue
			}
			row, err := compatibilityOf(fn, filepath.Base(file))
			if err != nil {
				t.Errorf("%s: %s: %v", file, fn.Name.Name, err)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func compatibilityOf(fn *ast.FuncDecl, file string) (compatible, error) {
	row := compatible{test: fn.Name.Name, file: file, notes: make(map[string]string)}
	for line := range strings.Lines(fn.Doc.Text()) {
		line = strings.TrimSpace(line)
		if feature, ok := strings.CutPrefix(line, "feature: "); ok {
			row.feature = feature
		}
		if note, ok := strings.CutPrefix(line, "note: "); ok {
			release, text, ok := strings.Cut(note, ": ")
			if !ok || !slices.Contains(peerReleases, release) {
				return row, fmt.Errorf("got note %q, want a release, a colon and what it does", note)
			}
			row.notes[release] = text
		}
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if n.Name == "against" || n.Name == "bothWays" || n.Name == "releases" || n.Name == "kinds" {
				row.releases = peerReleases
				row.bothWays = row.bothWays || n.Name == "bothWays"
			}
		case *ast.BasicLit:
			if s, err := strconv.Unquote(n.Value); err == nil && len(row.releases) == 0 && slices.Contains(peerReleases, s) {
				row.releases = []string{s}
			}
		}
		return true
	})
	switch {
	case row.feature == "":
		return row, fmt.Errorf("got no line \"feature: …\" in its comment, want one")
	case len(row.releases) == 0:
		return row, fmt.Errorf("got no release that it runs against, want one")
	}
	return row, nil
}

func compatibilityTable(rows []compatible) string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(`# What works with Tari nodes

Name the network of the Tari nodes, and give their addresses: ´gamelan node --network esmeralda --peer KEY::ADDRESS´.
For nodes of an older release add ´--release 1.7´ or ´--release rc5´, because some wire bytes differ.

| you want | with 6.2 | with 1.0.0-rc.5 |
|---|---|---|
| to connect, prove identities, and speak protocols of your own | yes | yes |
| messages over the DHT, ´gamelan send --to KEY´: clear, signed, encrypted | yes | yes |
| messages that they relay for you | only if their operator has switched relaying on | yes |
| to join their network, and find keys in it | yes | yes |
| [stored messages](storeandforward.md) | no: those nodes store none, and ask for none | yes, in both directions |
| calls, as the caller and as the service | yes | yes |
| ´gamelan send PEER´, without the DHT | refused; for a node without a DHT use ´--no-dht --plain-on-profile´ on both sides | the same |

Release 1.7.0-pre.3 is not among the published crates. [conformance/versions.md](conformance/versions.md) lists its differences.
´TestFromTree´ runs against it for who has a source tree of Tari at that tag: [tests/interop](../tests/interop/rust/README.md) says how.

## Check a node

Run ´gamelan interop --target KEY::ADDRESS´. It checks any node, of whatever implementation, against the rules of the wire, up to the
DHT with its stored messages. It prints a table of passes and failures, with the byte at which the first difference is.

Check only a node that you can throw away: the checks fill its list of peers, its bans and its store with junk.

## For contributors: the test of each feature

Each feature has its test in [tests/interop](../tests/interop), which runs against nodes built from Tari's published crates.
*Both ways* means that the test runs with either side dialling. This page is written from the comments of those tests:
´go test ./tests -run TestCompatibilityTable -update´.

`, "´", "`"))
	fmt.Fprintf(&b, "| Feature | %s |\n|---|%s\n", strings.Join(peerReleases, " | "), strings.Repeat("---|", len(peerReleases)))
	var notes []string
	for _, row := range rows {
		feature := row.feature
		if row.bothWays {
			feature += ", both ways"
		}
		fmt.Fprintf(&b, "| %s |", feature)
		for _, release := range peerReleases {
			if !slices.Contains(row.releases, release) {
				b.WriteString(" – |")
				continue
			}
			fmt.Fprintf(&b, " [%s](../tests/interop/%s)", row.test, row.file)
			if note := row.notes[release]; note != "" {
				note = release + " " + note
				if !slices.Contains(notes, note) {
					notes = append(notes, note)
				}
				fmt.Fprintf(&b, " (%d)", slices.Index(notes, note)+1)
			}
			b.WriteString(" |")
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	for i, note := range notes {
		fmt.Fprintf(&b, "%d. %s.\n", i+1, note)
	}
	return b.String()
}
