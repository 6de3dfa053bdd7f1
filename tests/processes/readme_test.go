package processes

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// readmeBlock is a shell block of README.md: the line it is recognised by, what
// is replaced before it is pasted, and what must then appear, in any order.
type readmeBlock struct {
	has     string
	replace func(t *testing.T, s *shell) [][2]string
	want    []string // regular expressions
}

// readmeBlocks are the shell blocks of README.md in their order. A block that is
// not listed fails the test: what a reader pastes has been pasted here.
var readmeBlocks = []readmeBlock{
	{
		has: "demo     #",
		replace: func(*testing.T, *shell) [][2]string {
			return [][2]string{{"go run ./cmd/gamelan demo", "gamelan demo"}, {"go test ./...", "true"}}
		},
		want: []string{`10,000 messages`},
	},
	{
		has: "gamelan node --data-dir alice &",
		replace: func(*testing.T, *shell) [][2]string {
			return [][2]string{{"go install ./cmd/gamelan", "true"}}
		},
		want: []string{
			`(?m)^Running\.`, `hello bob\n`, `(?m)confirmed`, `(?m)connectivity`,
		},
	},
	{
		has: "gamelan seed --listen",
		replace: func(*testing.T, *shell) [][2]string { // two machines are two directories here, with ports of loopback
			const line = `"$(gamelan id --address --data-dir first)"`
			return [][2]string{
				{"seed --listen /ip4/0.0.0.0/tcp/18189", "seed --data-dir first --listen /ip4/127.0.0.1/tcp/0 &"},
				{"node --listen /ip4/0.0.0.0/tcp/18189 --peer KEY::ADDRESS", "node --data-dir second --listen /ip4/127.0.0.1/tcp/0 --peer " + line + " &"},
				{"send KEY", `send --data-dir second "$(gamelan id --address --data-dir first | cut -d: -f1)"`},
			}
		},
		want: []string{`(?m)^[0-9a-f]{64}::/ip4/127\.0\.0\.1/tcp/[0-9]+$`, `(?s)Running\..*Running\.`, `(?m)^1 confirmed$`},
	},
}

// shell is a shell that a test pastes into.
type shell struct {
	t   *testing.T
	in  *os.File
	mu  sync.Mutex
	out bytes.Buffer
}

func (s *shell) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(b)
}

func (s *shell) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

func (s *shell) paste(text string) {
	s.t.Helper()
	if _, err := s.in.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// awaited is longer than GAMELAN_WAIT, so that a command says first what fails.
const awaited = 5 * time.Minute

// await waits until all that is wanted was written behind from.
func (s *shell) await(from int, want ...string) string {
	s.t.Helper()
	for end := time.Now().Add(awaited); ; time.Sleep(10 * time.Millisecond) {
		text, missing := s.text()[from:], ""
		for _, w := range want {
			if !regexp.MustCompile(w).MatchString(text) {
				missing = w
			}
		}
		if missing == "" {
			return text
		}
		if time.Now().After(end) {
			s.t.Fatalf("got no %q after %v, but:\n%s", missing, awaited, text)
		}
	}
}

// ask returns what a command writes that is pasted.
func (s *shell) ask(command string) string {
	s.t.Helper()
	from := len(s.text())
	s.paste("echo \"<$(" + command + ")>\"\n")
	text := s.await(from, `(?s)<.+>`)
	return text[strings.IndexByte(text, '<')+1 : strings.LastIndexByte(text, '>')]
}

var (
	fences = regexp.MustCompile("(?ms)^([ \\t]*)```(.*?)\\n(.*?)^[ \\t]*```$")
	// bareCommand is a command in a block that is indented, not fenced.
	bareCommand = regexp.MustCompile(`(?m)^(?: {4}|\t)(?:apt|apt-get|bash|cargo|curl|docker|gamelan|git|go|make|podman|sh|sudo|systemctl|[A-Z_]+=\S+) .*$`)
)

// shellBlocks are the blocks without a language of a page, which is named as seen from the
// top of the repository, and those of a shell.
func shellBlocks(t *testing.T, page string) (blocks []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../..", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fences.FindAllStringSubmatch(string(b), -1) {
		switch f[2] {
		case "", "sh", "bash", "shell", "console":
			blocks = append(blocks, f[3])
		case "go", "proto", "text": // Go is compiled by TestREADMEPrograms of the root package
		case "json", "http": // TestAPIPage of the daemon reads those of its page
			if page != "docs/api-http.md" {
				t.Errorf("%s has a block of %q, which no test reads", page, f[2])
			}
		default:
			t.Errorf("%s has a block of %q, which no test reads", page, f[2])
		}
	}
	if bare := bareCommand.FindString(fences.ReplaceAllString(string(b), "")); bare != "" {
		t.Errorf("%s has a command without a fence around it: %s", page, bare)
	}
	return blocks
}

// TestREADME pastes the shell blocks of README.md, and then those of docsBlocks, each at
// once, and expects what they promise.
func TestREADME(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &shell{t: t}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.in = in
	sh := exec.Command("bash")
	sh.Dir, sh.Stdin, sh.Stdout, sh.Stderr = dir, out, s, s
	sh.Env = []string{
		"PATH=" + filepath.Dir(path) + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + dir, "NO_COLOR=1",
		"GAMELAN_WAIT=1m", // a loaded machine may take more than 5 s to start a node
		"XDG_DATA_HOME=" + dir + "/data", "XDG_CONFIG_HOME=" + dir + "/config", "XDG_CONFIG_DIRS=" + dir + "/system",
	}
	if err := sh.Start(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	ended := false
	end := func() {
		if ended {
			return
		}
		ended = true
		s.in.WriteString("kill $(jobs -p); wait\n")
		s.in.Close()
		sh.Wait()
	}
	defer end()
	s.pasteBlocks("README.md", shellBlocks(t, "README.md"), readmeBlocks)
	for _, page := range docsBlocks {
		s.pasteBlocks(page.name, runBlocks(t, page.name), page.blocks)
	}
	end()
	t.Logf("%s", s.text())
}

// TestCommandWaitsForTheNode: a command that is pasted together with "gamelan node &" says that it
// waits for the node, for 5 s unless --wait says otherwise, and does its work when the node
// answers.
func TestCommandWaitsForTheNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	waits := func(most string, args ...string) (cmd *exec.Cmd, out *bytes.Buffer) {
		t.Helper()
		cmd, out = command(t, append([]string{"status", "--data-dir", dir}, args...)...), new(bytes.Buffer)
		cmd.Stdout = out
		errs, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(errs).ReadString('\n')
		if want := "Waiting up to " + most + " for the node in " + dir; err != nil || !strings.HasPrefix(line, want) {
			t.Fatalf("got %q, %v, want %q", line, err, want)
		}
		return cmd, out
	}
	early, _ := waits("5s")
	if err := early.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = early.Wait() // it was killed
	cmd, out := waits("2m0s", "--wait=2m")
	n := startNode(t, dir)
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "connected to nobody") {
		t.Errorf("got %v and\n%s\nwant the status of the node", err, out)
	}
	n.stop()
}

// pasteBlocks pastes the blocks of a page, which are these and no others.
func (s *shell) pasteBlocks(page string, blocks []string, list []readmeBlock) {
	s.t.Helper()
	if len(blocks) != len(list) {
		s.t.Fatalf("got %d shell blocks in %s, want %d: list each with what it promises", len(blocks), page, len(list))
	}
	for i, want := range list {
		block := blocks[i]
		if !strings.Contains(block, want.has) {
			s.t.Fatalf("%s, block %d has no %q:\n%s", page, i, want.has, block)
		}
		if want.replace != nil {
			for _, r := range want.replace(s.t, s) {
				if !strings.Contains(block, r[0]) {
					s.t.Fatalf("%s, block %d has no %q:\n%s", page, i, r[0], block)
				}
				block = strings.ReplaceAll(block, r[0], r[1])
			}
		}
		from := len(s.text())
		s.paste(block)
		text := s.await(from, want.want...)
		if regexp.MustCompile(`(?m)^gamelan: `).MatchString(text) {
			s.t.Errorf("a command of %s, block %d failed:\n%s", page, i, text)
		}
	}
}
