package gamelan_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/inspect"
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

// TestREADMEFirst runs the program of README.md's first screen, compares what it prints, and
// compares the shape of the tree there with that of a node: names, states, and no
// actor more or less. Ids and numbers differ from run to run.
func TestREADMEFirst(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)\n```text\n(.*?)```\n").FindAllSubmatch(text, -1)
	if len(shown) != 2 {
		t.Fatalf("got %d text blocks in README.md, want what the first program prints, and a tree", len(shown))
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", "./examples/first").Output()
	if err != nil || string(out) != string(shown[0][1]) {
		t.Errorf("got %q, %v, want %q as README.md says", out, err, shown[0][1])
	}

	handled := make(chan struct{})
	bob := must(gamelan.Start(t.Context(), gamelan.Config{NoDHT: true}, gamelan.WithMessages(func(context.Context, gamelan.Message) error {
		close(handled)
		return nil
	})))
	defer bob.Close(context.Background())
	alice := must(gamelan.Start(t.Context(), gamelan.Config{NoDHT: true, Listen: []string{gamelan.ListenNowhere}}))
	defer alice.Close(context.Background())
	must(alice.Send(t.Context(), must(alice.Peers().AddSeed(t.Context(), bob.Seed())), []byte("Alice")))
	<-handled
	names := func(tree string) (list []string) {
		for line := range strings.SplitSeq(strings.TrimSpace(tree), "\n") {
			name, _, _ := strings.Cut(line, " ●")
			name = regexp.MustCompile(`[0-9a-f]{16}(-\d+)?`).ReplaceAllString(strings.TrimRight(name, " "), "ID")
			list = append(list, name)
		}
		return list[1:] // without the heading
	}
	var now strings.Builder
	gamelantest.Eventually(t, time.Minute, "the tree of README.md", func() bool { // actors of the set-up may still end
		now.Reset()
		tree := bob.Inspection().Look(t.Context())
		if err := inspect.Text(&now, tree, inspect.TextOptions{}); err != nil {
			t.Fatal(err)
		}
		return slices.Equal(names(now.String()), names(string(shown[1][1])))
	})
}
