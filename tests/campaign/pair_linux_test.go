//go:build campaign

package campaign

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
	"github.com/gamelan-p2p/gamelan/internal/freeport"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// pair is a receiver, its listeners, and honest senders: one that embeds the
// library and one of the command line. It remembers what was sent, confirmed and printed.
type pair struct {
	t    *testing.T
	name string
	bin  string // the program
	dir  string
	args []string // of the receiver

	network string                 // the file of the private network; "": localnet
	private *gamelan.PrivateConfig // nil: localnet

	page *pageAt // where the receiver is reached over TCP; nil: nowhere

	receiver *process
	command  *process // node of the sender on the command line
	library  *gamelan.Node
	wallet   *wallet         // for which the receiver stores
	peer     identity.NodeID // the receiver
	key      identity.PublicKey

	over     context.CancelFunc // ends the senders
	sending  sync.WaitGroup
	hearing  sync.WaitGroup
	listener struct {
		sync.Mutex
		paused  bool // nobody shares
		ended   bool
		running map[*exec.Cmd]string
	}

	mu      sync.Mutex
	journal map[string][]sent // by sender, in the order of sending
	printed map[string]map[int][]print
	faults  []string
	pauses  []pausing // what happened that explains losses and repeats
	dropped uint64    // of the DHT, for want of room, by runs that are over
	rss     int64     // most resident memory of the receiver
	kept    []keeping // in order
	// unhandled is how many messages of the library over the DHT the receiver's log counts, by the
	// time of the stop that has lost them.
	unhandled map[time.Time]int
	level     inbox
	copies    int            // lines of listeners that copy all
	said      map[string]int // by listeners that failed, and of sends
}

type sent struct {
	out  protocol.OutcomeKind
	at   time.Time // when the outcome came
	took time.Duration
	size int
}

type print struct {
	listener int
	at       time.Time
}

// pausing is an event and its time: the kill or stop of the receiver, or the
// kill of a listener.
type pausing struct {
	what     string
	from, to time.Time
}

// process is a running "gamelan node".
type process struct {
	cmd  *exec.Cmd
	seed string
	errs *os.File
	gone chan error
}

func startProcess(bin, dir string, args ...string) (*process, error) {
	errs, err := os.OpenFile(dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(bin, append([]string{"node", "--data-dir", dir}, args...)...), errs: errs, gone: make(chan error, 1)}
	p.cmd.Stderr = errs
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 2 && f[0] == "address" {
			p.seed = f[1]
		}
		if strings.HasPrefix(lines.Text(), "Running.") {
			go func() {
				_, _ = io.Copy(io.Discard, out)
				p.gone <- p.cmd.Wait()
			}()
			return p, nil
		}
	}
	return nil, fmt.Errorf("the node in %s did not start: %w", dir, p.cmd.Wait())
}

// inbox is what status says of one, and of the health of the node.
type inbox struct {
	Inbox struct {
		Messages     int    `json:"messages"`
		Bytes        int64  `json:"bytes"`
		MaxBytes     int64  `json:"max_bytes"`
		MaxMessages  int    `json:"max_messages"`
		InHand       int    `json:"in_hand"`
		Waiting      int    `json:"waiting"`
		WaitingBytes int64  `json:"waiting_bytes"`
		Received     uint64 `json:"received"`
		Acknowledged uint64 `json:"acknowledged"`
		Dropped      uint64 `json:"dropped"`
		Damaged      int    `json:"damaged"`
		Full         bool   `json:"full"`
	} `json:"inbox"`
	Warnings []any    `json:"warnings"`
	Healthy  bool     `json:"healthy"`
	Reasons  []string `json:"reasons"`
	Pid      int      `json:"pid"`
}

func newPair(t *testing.T, bin, name, dir string) *pair {
	t.Helper()
	p := &pair{t: t, name: name, bin: bin, dir: filepath.Join(dir, "receiver"), journal: make(map[string][]sent), printed: make(map[string]map[int][]print), said: make(map[string]int)}
	p.args = []string{"--inbox-max-bytes=64MiB"} // their disk has 400; what they store for others is limited by its free space
	if os.Getenv(envWatched) != "" {
		t.Setenv("GAMELAN_INSPECT_SHARE_WHY", "always")
	}
	if os.Getenv(envPage) != "" {
		p.openPage()
	}
	p.listener.running = make(map[*exec.Cmd]string)
	var joins []string
	if os.Getenv(envPrivate) != "" {
		p.network, p.private = privateNetwork(t, bin, dir)
		joins = []string{"--network", p.network, "--listen"}
		ports, err := freeport.Ports(1) // the receiver is killed, and found again
		if err != nil {
			t.Fatal(err)
		}
		p.args = append(append(p.args, joins...), fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", ports[0]))
		joins = append(joins, "/ip4/127.0.0.1/tcp/0")
	}
	var err error
	if p.receiver, err = startProcess(bin, p.dir, p.args...); err != nil {
		t.Fatal(err)
	}
	if p.command, err = startProcess(bin, filepath.Join(dir, "command"), joins...); err != nil {
		t.Fatal(err)
	}
	p.library, err = gamelan.Start(t.Context(), gamelan.Config{
		DataDir: filepath.Join(dir, "library"), Private: p.private, Listen: []string{"/ip4/127.0.0.1/tcp/0"},
	}, gamelan.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	if p.peer, err = p.library.Peers().AddSeed(t.Context(), p.receiver.seed); err != nil {
		t.Fatal(err)
	}
	key, _, _ := strings.Cut(p.receiver.seed, "::")
	if p.key, err = identity.ParsePublicKey(key); err != nil {
		t.Fatal(err)
	}
	if p.wallet, err = p.startWallet(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.over = cancel
	p.sending.Go(func() { p.sendStored(ctx, p.wallet.node.PublicKey()) })
	p.sending.Go(func() { p.wallet.come(ctx) })
	p.sending.Go(func() { p.sendPlain(ctx) })
	p.sending.Go(func() { p.sendDHT(ctx) })
	p.sending.Go(func() { p.sendCommand(ctx) })
	p.hearing.Go(func() { p.listen("shared", 30*time.Second, "--json") })
	p.hearing.Go(func() { p.listen("counted", 0, "--raw", "--count", "700") })
	p.hearing.Go(func() { p.listen("all", 70*time.Second, "--all", "--raw") })
	return p
}

func (p *pair) fault(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, time.Now().Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

// saying counts what was said of a send, or by a listener that failed.
func (p *pair) saying(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said[strings.TrimSpace(text)]++
}

// next is the body of the next message of a sender, which is now in the journal.
func (p *pair) next(sender string, size int) (body []byte, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = len(p.journal[sender])
	body = fmt.Appendf(nil, "campaign:%s:%d:", sender, n)
	body = append(body, bytes.Repeat([]byte{'.'}, max(0, size-len(body)))...)
	p.journal[sender] = append(p.journal[sender], sent{at: time.Now(), size: len(body)})
	return body, n
}

func (p *pair) ended(sender string, n int, out protocol.OutcomeKind) {
	p.endedAt(sender, n, out, time.Now())
}

// endedAt is ended for an outcome of before: a send has several copies, and ends with the last.
func (p *pair) endedAt(sender string, n int, out protocol.OutcomeKind, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.journal[sender][n]
	if s.out != 0 {
		p.faults = append(p.faults, fmt.Sprintf("%s %d: got a second outcome", sender, n))
	}
	s.out, s.took, s.at = out, at.Sub(s.at), at
}

func (p *pair) sendPlain(ctx context.Context) {
	var waits sync.WaitGroup
	for tick := time.NewTicker(5 * time.Millisecond); ctx.Err() == nil; <-tick.C {
		body, n := p.next("library", 100+rand.IntN(1900))
		m, err := p.library.Submit(p.t.Context(), p.peer, body)
		if err != nil {
			p.ended("library", n, protocol.Failed)
			p.saying(err.Error())
			continue
		}
		waits.Go(func() {
			out := m.Wait(p.t.Context())
			p.ended("library", n, out.Kind)
			p.saying(out.String())
		})
	}
	waits.Wait()
}

func (p *pair) sendDHT(ctx context.Context) {
	var waits sync.WaitGroup
	for tick := time.NewTicker(200 * time.Millisecond); ctx.Err() == nil; <-tick.C {
		body, n := p.next("dht", 500)
		s, err := p.library.DHT().Submit(p.t.Context(), dht.Message{To: dht.DirectKey{Key: p.key}, Sign: true, Type: 1225, Body: body})
		if err != nil {
			p.ended("dht", n, protocol.Failed)
			continue
		}
		waits.Go(func() {
			out := protocol.Failed
			for _, c := range s.Wait(p.t.Context()).Copies {
				out = c.Outcome.Kind
			}
			p.ended("dht", n, out)
		})
	}
	waits.Wait()
}

// sendCommand has gamelan send send lines, and starts it again when it ends.
func (p *pair) sendCommand(ctx context.Context) {
	for ctx.Err() == nil {
		cmd := exec.Command(p.bin, "send", "--data-dir", filepath.Join(filepath.Dir(p.dir), "command"), p.receiver.seed)
		in, err := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		if err != nil || err2 != nil || cmd.Start() != nil {
			p.fault("gamelan send does not start: %v %v", err, err2)
			return
		}
		p.mu.Lock()
		first := len(p.journal["command"])
		p.mu.Unlock()
		var wg sync.WaitGroup
		wg.Go(func() {
			for lines := bufio.NewScanner(out); lines.Scan(); {
				f := strings.Fields(lines.Text())
				if len(f) < 2 {
					continue
				}
				n, err := strconv.Atoi(strings.ReplaceAll(f[0], ",", ""))
				kinds := map[string]protocol.OutcomeKind{"confirmed": protocol.Confirmed, "in": protocol.InDoubt, "failed:": protocol.Failed}
				if k := kinds[f[1]]; err == nil && k != 0 {
					p.ended("command", first+n-1, k)
				} else {
					p.fault("gamelan send says %q", lines.Text())
				}
			}
		})
		for tick := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			body, _ := p.next("command", 300)
			if _, err := in.Write(append(body, '\n')); err != nil {
				break
			}
		}
		in.Close()
		wg.Wait()
		_ = cmd.Wait()
	}
}

// listen runs listeners one after the other and kills each after the given time,
// 0: never.
func (p *pair) listen(kind string, life time.Duration, args ...string) {
	for id := 0; ; id++ {
		l := &p.listener
		l.Lock()
		if l.ended {
			l.Unlock()
			return
		}
		if l.paused && kind != "all" {
			l.Unlock()
			time.Sleep(100 * time.Millisecond)
			continue
		}
		cmd := exec.Command(p.bin, append([]string{"listen", "--data-dir", p.dir}, args...)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.StdoutPipe()
		if err != nil || cmd.Start() != nil {
			p.fault("gamelan listen does not start: %v", err)
		}
		l.running[cmd] = kind
		l.Unlock()
		var timer *time.Timer
		if life > 0 {
			timer = time.AfterFunc(life, func() { p.killed(kind, cmd.Process) })
		}
		began := time.Now()
		p.hear(kind, id, out)
		if err := cmd.Wait(); err != nil && cmd.ProcessState.Exited() && kind != "all" {
			p.happened("listener", began) // it may not have acknowledged
			p.saying(errs.String())
		}
		if errs.Len() > 0 {
			p.t.Logf("%s: %s listener %d, begun %s ended %s with %v, said %q", p.name, kind, id, began.Format("15:04:05.000"), time.Now().Format("15:04:05.000"), cmd.ProcessState, errs.String())
		}
		if timer != nil {
			timer.Stop()
		}
		l.Lock()
		delete(l.running, cmd)
		l.Unlock()
		if kind != "counted" {
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// killed kills a listener, and notes it.
func (p *pair) killed(kind string, c *os.Process) {
	now := time.Now()
	_ = c.Signal(syscall.SIGKILL)
	if kind != "all" {
		p.happened("listener", now)
	}
}

func (p *pair) happened(what string, from time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pauses = append(p.pauses, pausing{what, from, time.Now()})
}

// hear reads what a listener prints. Of each line it takes the first place that
// says whose message it is.
func (p *pair) hear(kind string, id int, out io.Reader) {
	began := time.Now()
	last := make(map[string]int)
	r := bufio.NewReaderSize(out, 1<<20)
	for {
		line, err := r.ReadSlice('\n')
		whole := err == nil
		if err == bufio.ErrBufferFull { // of an attacker
			for err == bufio.ErrBufferFull {
				_, err = r.ReadSlice('\n')
			}
			if err == nil {
				continue
			}
		}
		if err != nil && !whole {
			return // what was cut is not acknowledged
		}
		_, text, ok := strings.Cut(string(line[:min(len(line), 2000)]), "campaign:")
		f := strings.SplitN(text, ":", 3)
		if !ok || len(f) < 3 {
			continue
		}
		n, err := strconv.Atoi(f[1])
		if err != nil {
			continue
		}
		sender := f[0]
		p.mu.Lock()
		// What a listener with --count had in hand and did not acknowledge comes again after
		// AckGrace, when listeners that began since have printed later ones.
		if before, ok := last[sender]; ok && n <= before && !p.since(began.Add(-inboxpart.AckGrace-2*time.Second), time.Now()) && sender != "dht" {
			p.faults = append(p.faults, fmt.Sprintf("%s %s: %s listener %d, begun at %s, prints %d behind %d",
				time.Now().Format("15:04:05"), sender, kind, id, began.Format("15:04:05"), n, before))
		}
		last[sender] = n
		if kind == "all" {
			p.copies++
		} else {
			if p.printed[sender] == nil {
				p.printed[sender] = make(map[int][]print)
			}
			p.printed[sender][n] = append(p.printed[sender][n], print{id, time.Now()})
		}
		p.mu.Unlock()
	}
}

// since tells whether anything happened between two times that has messages come again.
func (p *pair) since(from, to time.Time) bool {
	for _, e := range p.pauses {
		if !e.to.Before(from) && !e.from.After(to) {
			return true
		}
	}
	return false
}

// status asks the receiver, and keeps what is needed at the end.
func (p *pair) status() (v inbox, err error) {
	err = p.ask(&v, "status", "--wait=0s")
	return v, err
}

// ask runs a verb of the command on the receiver, and decodes what it says.
func (p *pair) ask(v any, verb ...string) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, p.bin, append(verb, "--json", "--data-dir", p.dir)...).Output()
	if err == nil {
		err = json.Unmarshal(out, v)
	}
	return err
}

// keeping is what the receiver said, at a time, of the messages that it stores for others.
type keeping struct {
	at time.Time
	models.StoreForward
}

// keeps asks the receiver what it stores for others.
func (p *pair) keeps() (v keeping, err error) {
	v.at = time.Now()
	err = p.ask(&v.StoreForward, "saf")
	return v, err
}

// keptAround returns what the receiver said of its store right before and after a time.
func (p *pair) keptAround(at time.Time) (text string) {
	i, _ := slices.BinarySearchFunc(p.kept, at, func(k keeping, at time.Time) int { return k.at.Compare(at) })
	for _, k := range p.kept[max(0, i-1):min(len(p.kept), i+2)] {
		if k.Server != nil {
			text += fmt.Sprintf("\n\t%s %+v", k.at.Format("15:04:05.000"), *k.Server)
		}
	}
	return text
}

// readLog reads what the receiver has logged at its stops.
func (p *pair) readLog() {
	p.unhandled = make(map[time.Time]int)
	text, err := os.ReadFile(p.dir + ".log")
	if err != nil {
		p.t.Error(err)
	}
	line := regexp.MustCompile(`time=(\S+) .*"messages over the DHT that a peer brought were not handled" peer=` + p.library.ID().String() + ` messages=(\d+)`)
	for _, m := range line.FindAllStringSubmatch(string(text), -1) {
		at, err := time.Parse(time.RFC3339Nano, m[1])
		n, _ := strconv.Atoi(m[2])
		for _, e := range p.pauses {
			if err == nil && e.what == "stop" && !at.Before(e.from) && !at.After(e.to) {
				p.unhandled[e.from] += n
			}
		}
	}
	p.t.Logf("%s: messages of the library that the log counts at stops: %v", p.name, slices.Collect(maps.Values(p.unhandled)))
}

// unstored tells whether the receiver's store refused messages because of its disk, at a time when a
// message was judged that was confirmed at the given one.
func (p *pair) unstored(at time.Time) bool {
	var refused uint64
	for i, k := range p.kept {
		if k.Server == nil || k.at.After(at.Add(judgedIn)) {
			continue
		}
		before := refused
		refused = k.Server.Refused["disk slow or failed"] // since its start
		if i > 0 && k.at.After(at) && (refused > before || k.Server.Error != "") {
			return true
		}
	}
	return false
}

// resident is the memory of the receiver, in bytes.
func (p *pair) resident() int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.receiver.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kb int64
	_, _ = fmt.Sscan(rest, &kb)
	return kb << 10
}
