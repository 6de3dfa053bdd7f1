package processes

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// docsPage is a page whose shell blocks TestREADME pastes, after those of README.md, whose
// nodes still run. KEY and KEY::ADDRESS are replaced by those of bob.
type docsPage struct {
	name   string
	blocks []readmeBlock
}

func bobsKey(_ *testing.T, s *shell) [][2]string {
	key, _, _ := strings.Cut(s.ask("gamelan id --address --data-dir bob"), "::")
	return [][2]string{{"KEY", key}}
}

var docsBlocks = []docsPage{
	{"docs/operating.md", []readmeBlock{{
		has: "gamelan config init",
		replace: func(_ *testing.T, s *shell) [][2]string {
			s.paste("gamelan node &\n")
			return nil
		},
		want: []string{`gamelan\.toml`, `(?m)^state  `, `(?m)^ok: `},
	}, {
		has:  "gamelan log level connections=debug",
		want: []string{`(?m)^connections +debug$`, `(?m)^netsync was restarted$`, `(?m)^The node makes no new connections`, `(?m)^The node connects to others again\.$`},
	}, {
		has:  "gamelan report --list",
		want: []string{`(?m)^events\.json `, `(?m)^Wrote gamelan-report-[0-9-]+\.zip\.$`},
	}, {
		has:  "gamelan health --strict",
		want: []string{`(?m)^ok: `},
	}}},
	{"docs/events.md", []readmeBlock{{
		has: "gamelan events --from",
		replace: func(*testing.T, *shell) [][2]string {
			return [][2]string{{"gamelan events --follow --peer bob", "true"}, {"gamelan why bob --since 24h", "true"}}
		},
		want: []string{`node\.started`},
	}}},
	{"docs/install.md", []readmeBlock{{
		has: "go install ./cmd/gamelan",
		replace: func(*testing.T, *shell) [][2]string {
			return [][2]string{{"go install ./cmd/gamelan", "true"}}
		},
		want: []string{`(?m)^gamelan [0-9]+\.[0-9]+\.[0-9]+`, `(?m)^complete .*gamelan`},
	}}},
	{"docs/inbox.md", []readmeBlock{{
		has: "gamelan listen --data-dir bob --count 1",
		replace: func(_ *testing.T, s *shell) [][2]string { // the listener of README.md would take it
			s.paste("kill $(jobs -l | grep 'gamelan listen' | grep -o ' [0-9]\\+ ')\n")
			return nil
		},
		want: []string{`(?m)  keep this$`, `(?m)^1 confirmed$`, `(?m)^inbox  `},
	}, {
		has:  "gamelan inbox retry",
		want: []string{`(?m)^nothing is on the shelf`, `(?m)^0 messages handed out again$`, `(?m)^deleted 0 messages$`},
	}}},
	{"docs/dht.md", []readmeBlock{{
		has: "--to KEY --encrypt",
		replace: func(t *testing.T, s *shell) [][2]string {
			s.paste("gamelan listen --data-dir bob &\n")
			return [][2]string{{"--to KEY", "--to " + bobsKey(t, s)[0][1]}, {"alice TAG", `alice "$(gamelan messages --data-dir alice --json | sed -n '1s/.*"tag":"\([0-9a-f]*\)".*/\1/p')"`}}
		},
		want: []string{`for your eyes only\n`, `to whom it may concern\n`, `broadcast`, `(?m)^destination  [0-9a-f]{64}$`},
	}}},
	{"docs/kad.md", []readmeBlock{{
		has:  "gamelan kad trace get",
		want: []string{`(?m)^6db6286c37fcb002beb2e84629e23d710d51393c24a773a48ced931671f375b7`, `hello`, `value: 5 B, immutable`, `is published no more`},
	}}},
	{"docs/network.md", []readmeBlock{{
		has: "gamelan seed --data-dir seed &",
		replace: func(*testing.T, *shell) [][2]string { // the port may be taken
			return [][2]string{{"gamelan seed", "gamelan seed --listen /ip4/127.0.0.1/tcp/0"}}
		},
		want: []string{`(?m)^[0-9a-f]{64}::/ip4/127\.0\.0\.1/tcp/[0-9]+$`, `(?s)Running\..*Running\..*Running\.`},
	}, {
		has: "gamelan network status --data-dir carol",
		replace: func(_ *testing.T, s *shell) [][2]string {
			key, _, _ := strings.Cut(s.ask("gamelan id --address --data-dir dave"), "::")
			return [][2]string{{"carol KEY", "carol " + key}}
		},
		want: []string{`(?m)^.*peers? known`, `(?m)^seeds +[0-9a-f]{16} `, `(?m)^public key +[0-9a-f]{64}$`, `(?m)^1 confirmed$`},
	}, {
		has: "gamelan node --peer KEY::ADDRESS",
		replace: func(_ *testing.T, s *shell) [][2]string { // the node with the default directory runs
			return [][2]string{{"node --peer KEY::ADDRESS", "node --data-dir erin --peer " + s.ask("gamelan id --address --data-dir bob") + " &"}}
		},
		want: []string{`Running\.`, `peers? known`},
	}, {
		has: "gamelan seed --listen",
		replace: func(_ *testing.T, s *shell) [][2]string { // a port of this machine that is free
			return [][2]string{
				{"seed --listen /ip4/0.0.0.0/tcp/18189", "seed --data-dir frank --listen /ip4/127.0.0.1/tcp/0 &"},
				{"node --listen /ip4/0.0.0.0/tcp/18189 --peer KEY::ADDRESS", "node --data-dir grace --listen /ip4/127.0.0.1/tcp/0 --peer " + s.ask("gamelan id --address --data-dir bob") + " &"},
			}
		},
		want: []string{`(?m)^[0-9a-f]{64}::/ip4/127\.0\.0\.1/tcp/[0-9]+$`, `(?s)Running\..*Running\.`},
	}}},
	{"docs/private-network.md", []readmeBlock{{
		has: "gamelan network create acme",
		replace: func(*testing.T, *shell) [][2]string { // other nodes of this machine have the port and the directory
			return [][2]string{
				{"node --network acme.network", "node --data-dir heidi --listen /ip4/127.0.0.1/tcp/0 --network acme.network"},
				{"id --address", "id --address --data-dir heidi"},
			}
		},
		want: []string{`(?m)^Wrote acme\.network: the private network acme\.`, `gamelan [0-9.]+\S* on acme`, `(?m)^acme\.network has 1 seed now\.$`},
	}, {
		has: "gamelan node --network acme.network\n",
		replace: func(*testing.T, *shell) [][2]string {
			return [][2]string{{"node --network acme.network", "node --data-dir ivan --listen /ip4/127.0.0.1/tcp/0 --network acme.network &"}}
		},
		want: []string{`gamelan [0-9.]+\S* on acme`, `Running\.`},
	}, {
		has:  "gamelan network rotate begin",
		want: []string{`(?m)^Nodes with this file dial with the old secret`, `(?m)^Nodes with this file dial with the new secret [0-9a-f]{8}, and accept the old one`, `(?m)^Nodes with this file dial with the new secret [0-9a-f]{8}, and accept no other\.$`},
	}, {
		has:  "gamelan network rotate now",
		want: []string{`(?m)^Nodes with this file dial with the new secret [0-9a-f]{8}, and accept no other\. They close all`},
	}, {
		has:     "gamelan peers admit KEY",
		replace: bobsKey,
		want:    []string{`(?m)^The node has connections with anyone in its network\.$`, `(?m)^admitted [0-9a-f]{64}$`, `(?m)^no longer admitted: [0-9a-f]{64}$`},
	}}},
	{"docs/parts.md", []readmeBlock{{
		has: "go run ./presenced -dir zoe",
		replace: func(t *testing.T, _ *shell) [][2]string {
			program := filepath.Join(t.TempDir(), "presenced")
			build := exec.Command("go", "build", "-o", program, "./presenced")
			build.Dir = "../../examples/part"
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("go build: %v\n%s", err, out)
			}
			return [][2]string{{"go run ./presenced -dir zoe", program + " -dir zoe &"}}
		},
		want: []string{`(?m)^Own +here$`, `(?m)^own +busy$`, `(?m)^warnings +the presence is busy; set it to here again$`},
	}}},
	{"docs/storeandforward.md", []readmeBlock{{
		has: "gamelan send --to KEY --store",
		replace: func(t *testing.T, s *shell) [][2]string { // the default node knows nobody
			return [][2]string{{"send --to KEY", "send --data-dir alice --to " + bobsKey(t, s)[0][1]}}
		},
		want: []string{`(?m)confirmed`},
	}, {
		has: "gamelan saf fetch",
		replace: func(*testing.T, *shell) [][2]string {
			return [][2]string{{"saf fetch ", "saf fetch --data-dir alice "}}
		},
		want: []string{`(?m)^stores `, `messages delivered from`},
	}}},
}

// notRun are the blocks that TestREADME cannot paste, by the page and words of the block.
// Go blocks are compiled by TestREADMEPrograms of the root package, and text blocks
// compared by TestREADMEFirst.
var notRun = []struct{ page, has, why string }{
	{"bench/README.md", "make bench", "an hour, and Tari's nodes; .ci/run runs the tests of bench"},
	{"docs/architecture.md", "", "a diagram"},
	{"docs/configuration.md", "", "generated from the settings, whose tests read each line"},
	{"docs/conformance/README.md", "make conformance", "steps of .ci/run"},
	{"docs/conformance/comms.md", "Area: ", "read by tools/conformance, whose tests read each line"},
	{"docs/conformance/dht.md", "Area: ", "likewise"},
	{"docs/conformance/kad.md", "Area: ", "likewise"},
	{"docs/conformance/versions.md", "Area: ", "likewise"},
	{"docs/inversions.md", "make inversions", "hours"},
	{"docs/inversions.md", "Inverted: Both sides", "a file of tools/inversions, which its tests read"},
	{"docs/machines.md", "make machines", "root; .ci/run runs the tests among machines"},
	{"docs/install.md", "go mod init", "TestInstallModule runs it"},
	{"docs/install.md", "make snapshot", "a step of .ci/run"},
	{"docs/install.md", "-tags nodisk", "a step of .ci/run builds with the tag"},
	{"docs/install.md", "systemctl", "needs systemd; the deb is installed and used by packaging/installed.sh"},
	{"docs/install.md", "chgrp", "needs the package; packaging/installed.sh reads such a file"},
	{"docs/metrics.md", "curl", "needs curl; tests/monitoring has Prometheus read such an address"},
	{"docs/mutation.md", "make mutation", "hours"},
	{"docs/paths/message-out.md", "", "a diagram"},
	{"docs/operating.md", "[metrics]", "a file of settings; tests/monitoring sets it with the flag"},
	{"docs/actors.md", "gamelan ui --data-dir", "opens a browser; TestExampleBroken of tests looks at that program"},
	{"docs/operating.md", "gamelan ui  ", "opens a browser; script outside.txtar runs it without one"},
	{"docs/operating.md", "[inspect]", "a file of settings; script outside.txtar sets it with flags"},
	{"docs/operating.md", "gamelan token", "script outside.txtar runs it"},
	{"docs/operating.md", "scrape_configs", "settings of Prometheus; tests/monitoring runs it with such"},
	{"docs/operating.md", "journalctl", "needs systemd; TestCutInTheLog of tests/machines reads such a log"},
	{"docs/performance.md", "make bench", "an hour, and Tari's nodes"},
	{"docs/release.md", "make snapshot", "steps of .ci/run and of a workflow"},
	{"docs/rpc.md", "rpc: bad request", "an error as a program prints it"},
	{"docs/rpc.md", "go install", "needs protoc; TestGenerated of cmd/protoc-gen-gamelan runs the plugin"},
	{"docs/rpc.md", "greeter.proto:23", "an error of the plugin, which TestFaults of cmd/protoc-gen-gamelan compares"},
	{"docs/service.md", "[Service]", "a unit of systemd"},
	{"docs/service.md", "gamelan man", "needs the program man; the scripts of cmd/gamelan run completion and man"},
	{"docs/tor.md", "ControlPort", "settings of Tor, run by tests/onion"},
	{"docs/tree.md", "", "a diagram"},
	{"examples/README.md", "examples/chat", "a terminal for each side; TestExampleChat runs both sides"},
	{"examples/README.md", "examples/gossip", "TestExampleGossip runs it"},
	{"examples/README.md", "examples/memorynet", "TestExampleMemorynet runs it"},
	{"tests/interop/rust/README.md", "GAMELAN_TARI_1_7", "needs the source tree of that release"},
	{"tests/interop/rust/README.md", `"cmd":`, "lines between the tests and Tari's node; tests/interop exchanges such"},
	{"tests/onion/README.md", "GAMELAN_TOR=1", "steps of .ci/run"},
	{"tests/onion/README.md", "tornet/run", "needs the program tor; tests/onion starts the same network"},
	{"tools/inversions/head.md", "make inversions", "the head of docs/inversions.md"},
	{"tools/inversions/head.md", "Inverted: Both sides", "the head of docs/inversions.md"},
	{"tools/mutation/head.md", "make mutation", "the head of docs/mutation.md"},
}

// runBlocks are the shell blocks of a page that are run.
func runBlocks(t *testing.T, page string) (blocks []string) {
	t.Helper()
	for _, block := range shellBlocks(t, page) {
		if !named(page, block) {
			blocks = append(blocks, block)
		}
	}
	return blocks
}

func named(page, block string) bool {
	for _, n := range notRun {
		if n.page == page && strings.Contains(block, n.has) {
			return true
		}
	}
	return false
}

// TestDocsBlocks finds a page of the repository whose shell blocks are neither run nor named in notRun, and a
// name there without a block.
func TestDocsBlocks(t *testing.T) {
	t.Parallel()
	var pages []string
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "dist", "target", "testdata"}, d.Name()):
			return fs.SkipDir
		case filepath.Ext(path) == ".md" && path != filepath.Join("../..", "README.md"): // TestREADME runs all of it
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil || len(pages) < 50 {
		t.Fatalf("got pages %q, %v", pages, err)
	}
	listed := map[string]int{}
	for _, page := range docsBlocks {
		listed[page.name] = len(page.blocks)
	}
	used := map[string]bool{}
	for _, path := range pages {
		page := strings.TrimPrefix(filepath.ToSlash(path), "../../")
		for _, block := range shellBlocks(t, page) {
			for _, n := range notRun {
				if n.page == page && strings.Contains(block, n.has) {
					used[n.page+n.has] = true
				}
			}
		}
		if got := runBlocks(t, page); len(got) != listed[page] {
			t.Errorf("%s: got %d shell blocks to run, want %d: add them to docsBlocks, or to notRun with the reason:\n%s",
				page, len(got), listed[page], strings.Join(got, "\n"))
		}
	}
	for _, n := range notRun {
		if !used[n.page+n.has] {
			t.Errorf("notRun names a block %q of %s, and there is none", n.has, n.page)
		}
	}
}

// TestDocsUnit compares the unit of docs/service.md with the packaged one, up to its
// hardening, which stands below an empty line.
func TestDocsUnit(t *testing.T) {
	unit, err := os.ReadFile("../../packaging/systemd/gamelan.service")
	if err != nil {
		t.Fatal(err)
	}
	_, service, _ := strings.Cut(string(unit), "\n\n[Service]\n")
	service, hardening, _ := strings.Cut(service, "\n\n")
	if want := "[Service]\n" + service + "\n"; !slices.Contains(shellBlocks(t, "docs/service.md"), want) || !strings.Contains(hardening, "NoNewPrivileges=yes") {
		t.Errorf("docs/service.md has no block that is the packaged unit's:\n%s", want)
	}
}
