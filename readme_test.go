package gamelan_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
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

// The programs of README.md, docs/dht.md and docs/inbox.md, as they stand there.

func readmeNode(ctx context.Context, handle func(context.Context, gamelan.Message) error) (*gamelan.Node, error) {
	node, err := gamelan.Start(ctx, gamelan.Config{DataDir: "alice"},
		gamelan.WithMessages(handle),             // runs for each message, and acknowledges it by returning nil
		gamelan.WithInbox(gamelan.InboxConfig{}), // keeps messages on the disk until they are acknowledged
		gamelan.WithInspector(),                  // serves gamelan tree --data-dir alice
	)
	return node, err
}

func docsHear(ctx context.Context) (*gamelan.Node, error) {
	node, err := gamelan.Start(ctx, gamelan.Config{}, gamelan.WithType(1225, gamelan.Handle(func(m dht.Received) {
		fmt.Printf("%s: %s\n", m.From, m.Body)
	})))
	return node, err
}

func docsDHT(ctx context.Context, node *gamelan.Node) error {
	sent, err := node.DHT().Submit(ctx, dht.Message{To: dht.Flood{}, Type: 1225, Body: []byte("hello, all"), Sign: true})
	if err != nil {
		return err
	}
	report := sent.WaitFor(ctx, dht.ConfirmedBy(3)) // or Wait, for the outcome at every peer
	fmt.Println(&report)
	return nil
}

func docsInbox(ctx context.Context, node *gamelan.Node, handle func([]byte) error) error {
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

var _ = []any{docsDHT, docsHear, docsInbox}

// compiled are the pages with Go blocks, and the file that has the blocks of each.
var compiled = map[string]string{
	"docs/actors.md":             "docs_actors_test.go",
	"docs/private-network.md":    "docs_private_test.go",
	"README.md":                  "readme_test.go",
	"docs/conformance/README.md": "internal/protocol/identify/identify_test.go",
	"docs/dht.md":                "readme_test.go",
	"docs/inbox.md":              "readme_test.go",
	"docs/parts.md":              "examples/part/presence.go",
	"docs/rpc.md":                "docs_rpc_test.go",
	"docs/storeandforward.md":    "storeandforward_test.go",
	"docs/streams.md":            "docs_streams_test.go",
	"tools/inversions/draw.md":   "docs_rpc_test.go",
}

// TestREADMEPrograms looks for each Go block of README.md and of every other page in a Go
// file, which compiles it. A complete program is one of the examples.
func TestREADMEPrograms(t *testing.T) {
	fence := regexp.MustCompile("(?ms)^[ \t]*```go\n(.*?)^[ \t]*```$")
	var used []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		page := filepath.ToSlash(path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "dist", "target", "testdata"}, d.Name()):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		blocks := fence.FindAllSubmatch(text, -1)
		if len(blocks) == 0 {
			return nil
		}
		used = append(used, page)
		if compiled[page] == "" {
			t.Errorf("%s has %d Go blocks: name a file in compiled that has them", page, len(blocks))
			return nil
		}
		code, err := os.ReadFile(compiled[page])
		if err != nil {
			return err
		}
		examples := must(filepath.Glob("examples/*/main.go"))
		for _, b := range blocks {
			block := string(b[1])
			if strings.HasPrefix(block, "package main\n") {
				if !slices.ContainsFunc(examples, func(example string) bool {
					return strings.HasSuffix(string(must(os.ReadFile(example))), "\n"+block)
				}) {
					t.Errorf("this program of %s is none of examples:\n%s", page, block)
				}
				continue
			}
			indented := regexp.MustCompile("(?m)^(.)").ReplaceAllString(block, "\t$1")
			if !strings.Contains(string(code), "\n"+block) && !strings.Contains(string(code), indented) {
				t.Errorf("this block of %s does not stand in %s:\n%s", page, compiled[page], block)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := slices.Sorted(maps.Keys(compiled)); !slices.Equal(slices.Sorted(slices.Values(used)), want) {
		t.Errorf("got Go blocks in %q, want %q", used, want)
	}
}

// TestREADMENode runs the node of README.md: a message of which its function says that it failed
// comes again after a restart, and the socket in its directory is there.
func TestREADMENode(t *testing.T) {
	t.Chdir(t.TempDir())
	sender := must(gamelan.Start(t.Context(), gamelan.Config{Listen: []string{gamelan.ListenNowhere}}))
	defer sender.Close(context.Background())
	heard := make(chan string, 1)
	tell := errors.New("not handled")
	for range 2 {
		node := must(readmeNode(t.Context(), func(_ context.Context, m gamelan.Message) error {
			select {
			case heard <- string(m.Body):
			default: // it comes again while the node still runs
			}
			return tell
		}))
		if _, err := os.Stat(filepath.Join("alice", inspect.SocketName)); err != nil {
			t.Error(err)
		}
		if tell != nil {
			out := must(sender.Send(t.Context(), must(sender.Peers().AddSeed(t.Context(), node.Seed())), []byte("keep this")))
			if out.Kind != gamelan.Confirmed {
				t.Errorf("got %v, want it confirmed", out)
			}
		}
		if got := <-heard; got != "keep this" {
			t.Errorf("got %q, want the message", got)
		}
		if err := node.Close(context.Background()); err != nil {
			t.Error(err)
		}
		tell = nil // the next run handles it
		for len(heard) > 0 {
			<-heard
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
	out, err := exec.CommandContext(t.Context(), "go", "run", "-ldflags=-s -w", "./examples/first").Output()
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
