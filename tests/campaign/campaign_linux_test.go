//go:build campaign

// Package campaign attacks a running node for as long as it is told, beside
// honest senders and beside a pair that nobody attacks, and counts messages.
package campaign

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

const (
	envLength   = "GAMELAN_CAMPAIGN"          // how long, as 30m
	envDir      = "GAMELAN_CAMPAIGN_DIR"      // where data directories and logs stay
	envProgram  = "GAMELAN_CAMPAIGN_PROGRAM"  // instead of one that is built
	envAttacker = "GAMELAN_CAMPAIGN_ATTACKER" // the test binary attacks this seed
	envPrivate  = "GAMELAN_CAMPAIGN_PRIVATE"  // 1: in a private network, whose secret the attacker has not
	envWatched  = "GAMELAN_CAMPAIGN_WATCHED"  // 1: peers ask what the receiver remembers, and operators look at it and act on it without end
	envPage     = "GAMELAN_CAMPAIGN_PAGE"     // strangers, of so many sources but at least 8, and a reader attack the receiver's inspect.listen
	envNetwork  = "GAMELAN_CAMPAIGN_NETWORK"  // the file of that network, for the attacker
)

func TestMain(m *testing.M) {
	if seed := os.Getenv(envAttacker); seed != "" {
		if err := attack(seed); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Setenv("GAMELAN_CONFIG", os.DevNull)
	os.Exit(m.Run())
}

// Limits of what may be lost that was confirmed: what came in the last second
// before a kill, with room for a slow machine, and what stood in windows and credit.
const (
	lastSecond = 2 * time.Second
	lostByKill = 2 << 20
	lostByStop = 1 << 20
	credit     = 56 << 20         // of a node for plain messages that have come and are not handled
	judgedIn   = 30 * time.Second // a message over the DHT is stored or dropped, after it was confirmed
)

// TestCampaign attacks one of two receivers, while both are killed, stopped,
// frozen, left without listeners and without room on the disk in turn. Each
// message that was confirmed is printed once by the listeners that acknowledge, or
// was lost with a kill or a stop, within the limits that the README names.
func TestCampaign(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv(envLength))
	if err != nil {
		t.Skipf("runs by hand, with %s=30m", envLength)
	}
	dir := os.Getenv(envDir)
	if dir == "" {
		dir = t.TempDir()
	}
	bin := os.Getenv(envProgram)
	if bin == "" {
		bin = filepath.Join(dir, "gamelan")
		if out, err := exec.Command("go", "build", "-o", bin, "github.com/gamelan-p2p/gamelan/cmd/gamelan").CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	var pairs []*pair
	for _, name := range []string{"attacked", "control"} {
		d := filepath.Join(dir, name)
		for _, sub := range []string{"", "receiver", "command", "library"} {
			if err := os.MkdirAll(filepath.Join(d, sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Mount("none", filepath.Join(d, "receiver"), "tmpfs", 0, "size=400m,mode=700"); err != nil {
			t.Logf("no disk of its own, which is not filled therefore: %v", err)
		} else {
			t.Cleanup(func() { _ = syscall.Unmount(filepath.Join(d, "receiver"), syscall.MNT_DETACH) })
		}
		pairs = append(pairs, newPair(t, bin, name, d))
	}
	attacker := exec.Command(os.Args[0])
	attacker.Env = append(os.Environ(), envAttacker+"="+pairs[0].receiver.seed, envNetwork+"="+pairs[0].network, envDoor+"="+pairs[0].page.attacked())
	attacker.Stdout, attacker.Stderr = os.Stdout, os.Stderr
	stdin, err := attacker.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := attacker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = attacker.Process.Kill() })

	var watched *operators
	operating, ended := context.WithCancel(t.Context())
	defer ended()
	if os.Getenv(envWatched) != "" {
		watched = pairs[0].operate(operating)
	}
	var visited []*visits
	for _, p := range pairs {
		if p.page != nil {
			visited = append(visited, p.visit(operating))
		}
	}
	begin, stop := time.Now(), make(chan struct{})
	var watching sync.WaitGroup
	for _, p := range pairs {
		watching.Go(func() { p.watch(stop) })
	}
	rounds := []func(*pair){(*pair).kill, (*pair).freeze, (*pair).term, (*pair).deafen, (*pair).fill, (*pair).kill, (*pair).sleepy}
	for i := 0; time.Since(begin) < length; i++ {
		time.Sleep(25 * time.Second)
		var both sync.WaitGroup
		for _, p := range pairs {
			both.Go(func() { rounds[i%len(rounds)](p) })
		}
		both.Wait()
		for _, p := range pairs {
			t.Logf("%v round %d, %s", time.Since(begin).Round(time.Second), i, p.line())
		}
	}
	ended()
	if watched != nil {
		watched.say()
	}
	for _, v := range visited {
		v.say()
	}
	_ = stdin.Close()
	if err := attacker.Wait(); err != nil {
		t.Errorf("the attacker ends with %v", err)
	}
	var both sync.WaitGroup
	for _, p := range pairs {
		both.Go(p.finish)
	}
	both.Wait()
	close(stop)
	watching.Wait()
	for _, p := range pairs {
		p.judge()
	}
}

// The rounds.

func (p *pair) restart(what string, s syscall.Signal) {
	old, from := p.receiver, time.Now()
	_ = old.cmd.Process.Signal(s)
	select {
	case err := <-old.gone:
		if s == syscall.SIGTERM && err != nil {
			p.fault("TERM ends the receiver with %v", err)
		}
	case <-time.After(2 * time.Minute):
		p.fault("the receiver does not end by %v", s)
		_ = old.cmd.Process.Kill()
		<-old.gone
	}
	p.happened(what, from)
	n, err := startProcess(p.bin, p.dir, p.args...)
	if err != nil {
		p.fault("%v", err)
		p.t.Errorf("%s: %v", p.name, err)
		return
	}
	if n.seed != old.seed {
		p.fault("the receiver has moved from %s to %s", old.seed, n.seed)
	}
	p.mu.Lock()
	p.receiver, p.dropped, p.level.Inbox.Dropped = n, p.dropped+p.level.Inbox.Dropped, 0
	p.mu.Unlock()
	p.happened("restart", from)
}

func (p *pair) kill() { p.restart("kill", syscall.SIGKILL) }

func (p *pair) term() { p.restart("stop", syscall.SIGTERM) }

// freeze has the receiver stand still.
func (p *pair) freeze() {
	_ = p.receiver.cmd.Process.Signal(syscall.SIGSTOP)
	from := time.Now()
	time.Sleep(7 * time.Second)
	_ = p.receiver.cmd.Process.Signal(syscall.SIGCONT)
	p.froze(from)
}

// deafen has nobody listen for a while.
func (p *pair) deafen() {
	p.each("", true, func(kind string, c *exec.Cmd) { p.killed(kind, c.Process) })
	time.Sleep(20 * time.Second)
	p.each("", false, func(string, *exec.Cmd) {})
}

// sleepy has a listener stand still with messages in hand.
func (p *pair) sleepy() {
	p.each("shared", false, func(_ string, c *exec.Cmd) { _ = c.Process.Signal(syscall.SIGSTOP) })
	time.Sleep(10 * time.Second)
	p.each("shared", false, func(_ string, c *exec.Cmd) { _ = c.Process.Signal(syscall.SIGCONT) })
}

// each does something with each listener of a kind that acknowledges.
func (p *pair) each(kind string, paused bool, do func(kind string, c *exec.Cmd)) {
	p.listener.Lock()
	defer p.listener.Unlock()
	p.listener.paused = paused
	for c, k := range p.listener.running {
		if k == kind || kind == "" && k != "all" {
			do(k, c)
		}
	}
}

// fill fills the receiver's disk, if it has one of its own.
func (p *pair) fill() {
	var inside, outside syscall.Statfs_t
	if syscall.Statfs(p.dir, &inside) != nil || syscall.Statfs(filepath.Dir(p.dir), &outside) != nil || inside.Fsid == outside.Fsid {
		return
	}
	ballast := filepath.Join(p.dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		p.fault("%v", err)
		return
	}
	for chunk := make([]byte, 1<<20); err == nil; {
		_, err = f.Write(chunk)
	}
	for begin := time.Now(); time.Since(begin) < 12*time.Second; time.Sleep(50 * time.Millisecond) {
		_, _ = f.Write(make([]byte, 4096)) // what was freed meanwhile
	}
	f.Close()
	if err := os.Remove(ballast); err != nil {
		p.fault("%v", err)
	}
	p.happened("full disk", time.Now().Add(-13*time.Second))
}

// watch asks the receiver every two seconds how it is.
func (p *pair) watch(stop <-chan struct{}) {
	for tick := time.NewTicker(2 * time.Second); ; <-tick.C {
		select {
		case <-stop:
			return
		default:
		}
		v, err := p.status()
		kept, safErr := p.keeps()
		rss := p.resident()
		p.mu.Lock()
		p.rss = max(p.rss, rss)
		if safErr == nil {
			p.kept = append(p.kept, kept)
		}
		if err == nil && v.Pid == p.receiver.cmd.Process.Pid {
			p.watchInbox(v)
		}
		p.mu.Unlock()
	}
}

// watchInbox sees that an inbox does not grow beyond its limits. A stop writes what waits for
// room as well, which is no more than the credit that it holds; from there the inbox shrinks.
func (p *pair) watchInbox(v inbox) {
	b, before := v.Inbox, p.level.Inbox
	grows := v.Pid == p.level.Pid && before.Bytes > 0 && b.Bytes > before.Bytes
	if b.Damaged > 0 || b.Bytes > b.MaxBytes && (grows || b.Bytes > max(b.MaxBytes, before.Bytes)+credit) {
		p.faults = append(p.faults, fmt.Sprintf("%s beyond its limits: %+v, before %+v", time.Now().Format("15:04:05"), b, before))
	}
	p.level = v
}

func (p *pair) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, m := range p.printed {
		n += len(m)
	}
	return fmt.Sprintf("%s: %d+%d+%d+%d sent, %d printed, RSS %d MiB, most %d, faults %d, inbox %+v", p.name, len(p.journal["library"]), len(p.journal["command"]), len(p.journal["dht"]), len(p.journal["stored"]),
		n, p.resident()>>20, p.rss>>20, len(p.faults), p.level.Inbox)
}

// finish ends the senders and waits until the inbox is empty.
func (p *pair) finish() {
	p.over()
	p.sending.Wait()
	p.wallet.settle(p.t.Context())
	for begin := time.Now(); ; time.Sleep(500 * time.Millisecond) {
		v, err := p.status()
		if err == nil && v.Inbox.Messages+v.Inbox.Waiting == 0 && v.Inbox.Bytes == 0 { // copies have all, too
			break
		}
		if time.Since(begin) > 5*time.Minute {
			p.fault("the inbox does not empty: %+v, %v", v, err)
			break
		}
	}
	time.Sleep(3 * time.Second)
	p.listener.Lock()
	p.listener.ended = true
	for c := range p.listener.running {
		_ = c.Process.Signal(syscall.SIGTERM)
	}
	p.listener.Unlock()
	p.hearing.Wait()
	for _, n := range []*process{p.receiver, p.command} {
		_ = n.cmd.Process.Signal(syscall.SIGTERM)
		<-n.gone
	}
	_ = p.library.Close(p.t.Context())
	_ = p.wallet.node.Close(p.t.Context())
}

// judge compares what was confirmed with what was printed.
func (p *pair) judge() {
	p.t.Logf("%s: receiver's most memory %d MiB, %d lines of copies, %d messages of the DHT dropped for want of room, at last %+v", p.name, p.rss>>20, p.copies, p.dropped+p.level.Inbox.Dropped, p.level)
	for said, n := range p.said {
		p.t.Logf("%s: %d times: %s", p.name, n, said)
	}
	if p.level.Inbox.Bytes != 0 {
		p.t.Errorf("%s: got %d bytes in an empty inbox", p.name, p.level.Inbox.Bytes)
	}
	p.readLog()
	for _, sender := range []string{"library", "command", "dht", "stored"} {
		p.judgeSender(sender)
	}
	for _, f := range p.faults[:min(len(p.faults), 50)] {
		p.t.Errorf("%s: %s", p.name, f)
	}
}

func (p *pair) judgeSender(sender string) {
	journal, printed := p.journal[sender], p.printed[sender]
	outcomes := make(map[protocol.OutcomeKind]int)
	var took []time.Duration
	var missing []int
	repeated, odd := 0, 0
	for n, s := range journal {
		outcomes[s.out]++
		all := printed[n]
		if s.out == protocol.Confirmed {
			took = append(took, s.took)
			if len(all) == 0 {
				missing = append(missing, n)
			}
		}
		if s.out == protocol.Failed && len(all) > 0 && sender != "stored" {
			p.t.Errorf("%s: %s %d has failed and is printed", p.name, sender, n)
		}
		for i := 1; i < len(all); i++ {
			repeated++
			// A kill or a full disk while it arrived has it come again, even if it waited long in
			// the inbox before it was printed.
			if !p.since(s.at.Add(-s.took-3*time.Second), all[i].at.Add(time.Second)) {
				odd++
				if odd <= 10 {
					p.t.Errorf("%s: %s %d is printed again without a reason: %v; sent %s took %v printed %s %s", p.name, sender, n, all, s.at.Format("15:04:05.000"), s.took, all[0].at.Format("15:04:05.000"), all[i].at.Format("15:04:05.000"))
				}
			}
		}
	}
	for n := range printed {
		if n >= len(journal) {
			p.t.Errorf("%s: %s %d is printed and was never sent", p.name, sender, n)
		}
	}
	slices.Sort(took)
	if len(took) == 0 {
		p.t.Errorf("%s: %s: nothing confirmed", p.name, sender)
		return
	}
	p.t.Logf("%s: %s: %d sent, %d confirmed, %d in doubt, %d failed, %d without an outcome; p50 %v, p95 %v, p99 %v, most %v; %d printed, %d again; %d confirmed and not printed",
		p.name, sender, len(journal), outcomes[protocol.Confirmed], outcomes[protocol.InDoubt], outcomes[protocol.Failed], outcomes[0],
		took[len(took)/2], took[len(took)*95/100], took[len(took)*99/100], took[len(took)-1], len(printed), repeated, len(missing))
	p.explain(sender, missing)
}

// explain sees that what is missing was the last before a kill or a stop, and no
// more than that may lose; of the DHT, what was dropped for want of room is counted.
func (p *pair) explain(sender string, missing []int) {
	journal, printed := p.journal[sender], p.printed[sender]
	dropped, unstored, counted := 0, 0, 0
	type loss struct{ messages, bytes, young int }
	losses := make(map[time.Time]*loss)
	for _, n := range missing {
		var end pausing
		for _, e := range p.pauses {
			if (e.what == "kill" || e.what == "stop") && !e.to.Before(journal[n].at) && (end.what == "" || e.to.Before(end.to)) {
				end = e
			}
		}
		last := end.what != ""
		for m := n + 1; last && m < len(journal) && journal[m].at.Before(end.from); m++ {
			if journal[m].out == protocol.Confirmed && len(printed[m]) > 0 {
				last = false
			}
		}
		// Messages over the DHT do not keep their order: a later one that has come says nothing.
		last = last || sender != "library" && sender != "command" && end.what != "" && end.from.Sub(journal[n].at) < lastSecond
		switch {
		case sender == "stored" && p.unstored(journal[n].at):
			unstored++
		case end.what == "stop" && end.from.Sub(journal[n].at) < judgedIn && p.unhandled[end.from] > 0:
			p.unhandled[end.from]--
			counted++
		case !last && sender == "dht":
			dropped++
			p.t.Logf("%s: dht %d was confirmed at %s and is not printed; the next end is a %s at %s", p.name, n, journal[n].at.Format("15:04:05.000"), end.what, end.from.Format("15:04:05.000"))
		case !last:
			p.t.Errorf("%s: %s %d was confirmed at %s, %v after it was sent, and is lost; the next end is a %s at %s",
				p.name, sender, n, journal[n].at.Format("15:04:05.000"), journal[n].took, end.what, end.from.Format("15:04:05.000"))
			if sender == "stored" {
				p.t.Logf("the receiver's store then:%s", p.keptAround(journal[n].at))
			}
		default:
			l := losses[end.from]
			if l == nil {
				l = new(loss)
				losses[end.from] = l
			}
			if end.what == "kill" && end.from.Sub(journal[n].at) < lastSecond {
				l.young++
			} else {
				l.messages++
				l.bytes += journal[n].size
			}
			if limit := map[string]int{"kill": lostByKill, "stop": lostByStop}[end.what]; l.bytes > limit {
				p.t.Errorf("%s: %s: the %s at %s lost %d bytes, more than %d", p.name, sender, end.what, end.from.Format("15:04:05"), l.bytes, limit)
			}
		}
	}
	for at, l := range losses {
		p.t.Logf("%s: %s: lost with the end at %s: %d of the last moments, %d more with %d bytes", p.name, sender, at.Format("15:04:05"), l.young, l.messages, l.bytes)
	}
	if unstored+counted > 0 {
		p.t.Logf("%s: %s: %d were not stored, because the disk was full, and %d were counted in the log of a stop", p.name, sender, unstored, counted)
	}
	if total := int(p.dropped + p.level.Inbox.Dropped); dropped > total {
		p.t.Errorf("%s: dht: %d are missing, %d were counted as dropped for want of room", p.name, dropped, total)
	}
}
