package gamelan_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
)

// The programs of README.md, as they stand there.

func readmeDHT(ctx context.Context, node *gamelan.Node) error {
	sent, err := node.DHT().Submit(ctx, dht.Message{To: dht.Flood{}, Type: 1225, Body: []byte("hello, all"), Sign: true})
	if err != nil {
		return err
	}
	report := sent.WaitFor(ctx, dht.ConfirmedBy(3)) // or Wait, for the outcome at every peer
	fmt.Println(&report)
	return nil
}

func readmeInbox(ctx context.Context, node *gamelan.Node, handle func([]byte) error) error {
	for m, err := range node.Messages(ctx) { // shared with whoever else listens
		if err != nil {
			return err
		}
		if err := handle(m.Body); err != nil {
			return err // this message comes again
		}
	}
	return nil
}

func readmeInspector(ctx context.Context) (*gamelan.Node, error) {
	node, err := gamelan.Start(ctx, gamelan.Config{DataDir: "alice"}, gamelan.WithInspector())
	return node, err
}

var _ = []any{readmeDHT, readmeInbox, readmeInspector}

// TestREADMEPrograms compares the Go blocks of README.md with those above, and those of
// docs/storeandforward.md with those in storeandforward_test.go. All of these compile.
func TestREADMEPrograms(t *testing.T) {
	for page, c := range map[string]struct {
		code   string
		blocks int
	}{
		"README.md":               {"readme_test.go", 4},
		"docs/storeandforward.md": {"storeandforward_test.go", 3},
	} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		code, err := os.ReadFile(c.code)
		if err != nil {
			t.Fatal(err)
		}
		blocks := regexp.MustCompile("(?s)\n```go\n(.*?)```\n").FindAllSubmatch(text, -1)
		if len(blocks) != c.blocks {
			t.Errorf("got %d Go blocks in %s, want %d: bring %s after them", len(blocks), page, c.blocks, c.code)
		}
		for _, b := range blocks {
			if strings.HasPrefix(string(b[1]), "package main\n") {
				example, err := os.ReadFile("examples/first/main.go")
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasSuffix(string(example), "\n"+string(b[1])) {
					t.Errorf("this program of %s is not examples/first:\n%s", page, b[1])
				}
				continue
			}
			indented := regexp.MustCompile("(?m)^(.)").ReplaceAllString(string(b[1]), "\t$1")
			if !strings.Contains(string(code), indented) {
				t.Errorf("this block of %s does not stand in %s:\n%s", page, c.code, b[1])
			}
		}
	}
}
