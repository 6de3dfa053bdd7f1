package interop

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/tests/internal/signals"
	"github.com/gamelan-p2p/gamelan/tests/internal/tarinodes"
)

// answerLimit is how long a command may take: longer than anything that Tari's
// nodes wait for themselves.
const answerLimit = 2 * time.Minute

// tari is a running Tari node.
type tari struct {
	t       *testing.T
	release string
	args    []string
	secret  *identity.Secret
	key     identity.PublicKey
	id      identity.NodeID
	addr    string // multiaddr

	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   bytes.Buffer // its standard error; read it after the end only
	ended chan struct{}

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan answer
	took    []delivery        // from the DHT, in order
	banned  []identity.NodeID // in order
}

type answer struct {
	OK    json.RawMessage
	Error string
}

// startTari starts a Tari node with a key of ours, which ends with the test.
func startTari(t *testing.T, release string, args ...string) *tari {
	t.Helper()
	p := &tari{t: t, release: release, args: args, secret: newSecret(t), addr: "/ip4/127.0.0.1/tcp/0"}
	p.start()
	t.Cleanup(func() { p.kill() })
	return p
}

// start starts the node, at the address it had before if it ran already.
func (p *tari) start() {
	p.t.Helper()
	args := append([]string{"--key", hex.EncodeToString(p.secret.Bytes()), "--listen", p.addr}, p.args...)
	p.cmd = exec.Command(tarinodes.Program(p.release), args...)
	p.cmd.Env = append(p.cmd.Environ(), "TMPDIR="+p.t.TempDir())
	p.cmd.Stderr = &p.log
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.stdin, p.ended, p.waiting = stdin, make(chan struct{}), make(map[uint64]chan answer)
	started := make(chan json.RawMessage, 1)
	go p.read(stdout, started)
	select {
	case raw := <-started:
		p.identity(raw)
	case <-p.ended:
		p.t.Fatalf("Tari node %s did not start: %s", p.release, p.log.String())
	case <-time.After(answerLimit):
		p.t.Fatalf("Tari node %s did not start within %v", p.release, answerLimit)
	}
}

func (p *tari) identity(raw json.RawMessage) {
	p.t.Helper()
	var said struct {
		Key       string
		NodeID    string `json:"node_id"`
		Listening string
	}
	err := json.Unmarshal(raw, &said)
	if err == nil {
		p.key, err = identity.ParsePublicKey(said.Key)
	}
	if err == nil {
		p.id, err = identity.ParseNodeID(said.NodeID)
	}
	if err != nil || said.Listening == "" {
		p.t.Fatalf("identity of the Tari node: got %s (%v), want a key, a node id and an address", raw, err)
	}
	p.addr = said.Listening
}

// read hands answers to those who wait for them, until the node ends.
func (p *tari) read(stdout io.Reader, started chan<- json.RawMessage) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var line struct {
			ID       uint64
			Event    string
			Identity json.RawMessage
			answer
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			continue
		}
		if line.Event == "started" {
			started <- line.Identity
		}
		p.mu.Lock()
		p.event(line.Event, lines.Bytes())
		if c, ok := p.waiting[line.ID]; ok {
			c <- line.answer
			delete(p.waiting, line.ID)
		}
		p.mu.Unlock()
	}
	p.cmd.Wait()
	close(p.ended)
}

// event keeps what a line says that answers nothing; p.mu is held.
func (p *tari) event(name string, line []byte) {
	switch name {
	case "delivered":
		var d delivery
		if err := json.Unmarshal(line, &d); err != nil {
			p.t.Errorf("Tari node %s: got %q, want a delivered message: %v", p.release, line, err)
		}
		p.took = append(p.took, d)
	case "banned":
		var b struct {
			NodeID identity.NodeID `json:"node_id"`
		}
		if err := json.Unmarshal(line, &b); err != nil {
			p.t.Errorf("Tari node %s: got %q, want a ban: %v", p.release, line, err)
		}
		p.banned = append(p.banned, b.NodeID)
	}
}

// kill ends the process at once.
func (p *tari) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// stop stops the process and returns when it stands still.
func (p *tari) stop() {
	p.t.Helper()
	p.signal(signals.Stop)
	gamelantest.Eventually(p.t, connectLimit, "their process stands still", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
		for _, thread := range threads {
			stat, err := os.ReadFile(thread)
			if after := bytes.LastIndexByte(stat, ')'); err != nil || after < 0 || !bytes.HasPrefix(stat[after:], []byte(") T")) {
				return false
			}
		}
		return err == nil && len(threads) > 0
	})
}

func (p *tari) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("signal: %v", err)
	}
}

// starve leaves the process a part of the time, in slices.
func (p *tari) starve(runs, stands time.Duration) (end func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			p.signal(signals.Stop)
			time.Sleep(stands)
			p.signal(signals.Resume)
			select {
			case <-over:
				return
			case <-time.After(runs):
			}
		}
	}()
	return sync.OnceFunc(func() { close(over); <-ended })
}

// args of a command.
type args map[string]any

var errEnded = errors.New("the Tari node has ended")

// ask runs a command and decodes its answer into result, unless that is nil.
func (p *tari) ask(cmd string, a args, result any) error {
	if a == nil {
		a = args{}
	}
	c := make(chan answer, 1)
	p.mu.Lock()
	p.last++
	a["id"], a["cmd"] = p.last, cmd
	p.waiting[p.last] = c
	line, err := json.Marshal(a)
	if err == nil {
		_, err = p.stdin.Write(append(line, '\n'))
	}
	ended := p.ended
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	select {
	case got := <-c:
		if got.Error != "" {
			return errors.New(got.Error)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(got.OK, result)
	case <-ended:
		return errEnded
	case <-time.After(answerLimit):
		return fmt.Errorf("the Tari node did not answer within %v", answerLimit)
	}
}

// must is ask for commands that have to work.
func (p *tari) must(cmd string, a args, result any) {
	p.t.Helper()
	if err := p.ask(cmd, a, result); err != nil {
		p.t.Fatalf("Tari node %s: %s: %v", p.release, cmd, err)
	}
}

// seed names the node for Config.Seeds.
func (p *tari) seed() string { return p.key.String() + "::" + p.addr }

// tcp is the TCP address it listens on.
func (p *tari) tcp() string { return tcpOf(p.addr) }

func tcpOf(addr string) string {
	f := strings.Split(addr, "/") // "", ip4, 127.0.0.1, tcp, port
	return f[2] + ":" + f[4]
}

// knows tells the node about another one.
func (p *tari) knows(key identity.PublicKey, addr string) {
	p.t.Helper()
	p.must("add_peer", args{"peer": key.String(), "address": addr}, nil)
}

func (p *tari) knowsNode(n *gamelan.Node) {
	p.t.Helper()
	p.knows(n.PublicKey(), n.Addresses()[0].String())
}

// link is a connection as the Tari node describes it.
type link struct {
	NodeID     string `json:"node_id"`
	Direction  string
	Address    string
	Features   uint32
	Substreams int
}

func (p *tari) links() []link {
	p.t.Helper()
	var all []link
	p.must("connections", nil, &all)
	return all
}

// record is what the Tari node has stored about a peer.
type record struct {
	Known     bool
	Key       string
	Features  uint32
	UserAgent string `json:"user_agent"`
	Protocols []string
	Addresses []string
	Banned    bool
	BanReason string `json:"ban_reason"`
	BannedFor int64  `json:"banned_for"` // seconds
}

func (p *tari) record(key identity.PublicKey) record {
	p.t.Helper()
	var r record
	p.must("peer", args{"peer": key.String()}, &r)
	return r
}

// sendReport is how the library answered for a batch of messages.
type sendReport struct {
	Sent   uint64
	Failed map[string]uint64
	MS     int64
}

// batch is count messages of size bytes with numbers from first on.
type batch struct {
	first, count uint64
	size         int
	window       int // default 200
}

func (p *tari) send(to identity.PublicKey, b batch) (sendReport, error) {
	if b.window == 0 {
		b.window = 200
	}
	var r sendReport
	err := p.ask("send", args{
		"peer": to.String(), "first": b.first, "count": b.count, "size": b.size, "window": b.window,
	}, &r)
	return r, err
}

// received is what the node has heard of a peer.
func (p *tari) received(from identity.PublicKey) arrived {
	p.t.Helper()
	var a arrived
	p.must("received", args{"peer": from.String()}, &a)
	return a
}
