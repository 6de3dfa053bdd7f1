package product

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/transport/tcp"
)

// attack is one case of the group "attacks", gamelan/attack-NAME. A new one is a
// file with a function that returns it, and a line in [attacks].
type attack struct {
	name    string
	config  gamelan.Config     // of the node under attack
	options []gamelan.Option   // of the same
	placed  bool               // its connections seem to come from addresses of the internet; see [placedTCP]
	outcome gamelan.SendOption // of the honest peer's sends; nil: they are read
	clients bool               // the honest peers are clients, to whom the node relays nothing
	// prepare runs in a process of its own, before any clock does; seed is the
	// node's. The function that it returns attacks until ctx ends, and counts
	// each stroke. It returns an error only if it could not attack at all.
	prepare func(ctx context.Context, seed string) (strike func(ctx context.Context, count *atomic.Uint64) error, err error)
	rest    time.Duration // what must pass between prepare and the first stroke
	// call is what a fresh node does when it is connected, as part of its dial; it may be nil.
	call func(ctx context.Context, from, to *gamelan.Node) error
	// stage does something with the node before it is attacked, and returns what
	// says more of it afterwards; it may be nil, and so may what it returns.
	stage func(ctx context.Context, n *gamelan.Node) (report func(m *harness.Meter), err error)
	// letters has messages stored before the attack, and the control, and returns what counts
	// afterwards how many per cent of them their receiver gets; it may be nil.
	letters func(ctx context.Context, n *gamelan.Node) (handedOut func() float64, err error)
}

// attacks are all of them. Append yours.
func attacks() []attack {
	return []attack{
		replayByReencoding(),
		replayByFlushing(),
		halfOpenFromTor(),
		halfOpenFromManySources(),
		idleIdentities(),
		substreamChurn(),
		churnOfNewcomers(),
		headerBombs(),
		peerBook(),
		identityRotation(),
		floods(),
		joinFlood(),
		discoveryFlood(),
		peerListFlood(),
		probes(),
		silentHandshakes(),
		idleSessions(),
		storedAnswersFromTor(),
		storedAnswersFromFiveSources(),
		regionSqueezed(),
		storedBox(),
		storedAll(),
		usefulIdentities(),
		silentSubstreams(),
		newcomersSpeak(),
		uselessFrames(),
		outcomeBooks(),
	}
}

// attackVariable says in the other process which attack it is, with a seed behind
// a space, or how many processors to burn.
const attackVariable = "GAMELAN_BENCH_ATTACK"

// burn is the name of the control: nothing but work for the processor.
const burn = "burn"

// Limits of the honest peers in a phase.
const (
	sendEvery  = 2 * time.Millisecond // pause between an honest peer's sends
	pingsEach  = 50                   // in a phase: a node answers 60 of one peer in a minute
	dialEvery  = 250 * time.Millisecond
	dialWithin = 5 * time.Second
	sendWithin = 10 * time.Second
	pingWithin = time.Second // what one takes that has no answer by then
)

// Attacks are the cases of all attacks. In each one node is attacked for d by a
// process of its own, and then another for d by a process that burns as much of
// the processors as the attacker did and does nothing else. An honest peer sends
// to the node all the time, and pings it over the DHT if it has one, one after the
// other; fresh nodes dial it, four in a second, with 5 s for each. A phase of less
// than a second measures nothing: no attack waits in it for what must pass before.
func Attacks(d time.Duration) (all []harness.Case) {
	for _, a := range attacks() {
		if d < time.Second {
			a.rest = 0
		}
		all = append(all, harness.Case{
			Name: "gamelan/attack-" + a.name, Fresh: true, Rounds: 3, Limit: 2*d + 2*time.Minute,
			Run: func(m *harness.Meter) error { return a.run(m, d) },
		})
	}
	return all
}

func (a attack) run(m *harness.Meter, d time.Duration) error {
	attacked, err := a.phase(m, d, func(seed string) string { return a.name + " " + seed }, true)
	if err != nil {
		return fmt.Errorf("attack: %w", err)
	}
	control, err := a.phase(m, d, func(string) string { return fmt.Sprintf("%s %g", burn, attacked.share) }, false)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	m.Report("strokes/s", attacked.strokes)
	m.Report("attacker cpu", attacked.share)
	m.Report("p50 of sends ratio", attacked.sends/control.sends)
	m.Report("sends failed", attacked.failed)
	if control.pings > 0 {
		m.Report("p50 of pings ns", attacked.pings)
		m.Report("p50 of pings ratio", attacked.pings/control.pings)
	}
	m.Report("dials", attacked.dials)
	m.Report("dials succeeded %", attacked.succeeded)
	m.Report("control dials succeeded %", control.succeeded)
	m.Report("control p50 ns", control.sends)
	m.Report("memory peak bytes", attacked.memory)
	m.Report("control memory peak bytes", control.memory)
	m.Report("memory peak ratio", attacked.memory/control.memory)
	if a.letters != nil {
		m.Report("letters handed out %", attacked.handedOut)
		m.Report("control letters handed out %", control.handedOut)
	}
	m.Report("log bytes/s", attacked.logged)
	return m.Latencies(attacked.all)
}

// phase is what honest peers saw in one.
type phase struct {
	all              []time.Duration // of sends
	failed           float64         // sends
	sends, pings     float64         // medians in ns
	dials, succeeded float64         // how many, and per cent of them
	share            float64         // processors that the other process used
	strokes          float64         // a second
	memory           float64         // most heap and stacks in use at once
	logged           float64         // bytes of the node's log a second
	handedOut        float64         // per cent of the letters
}

// phase has honest peers talk to a fresh node for d, beside another process, which
// attacks it or not.
func (a attack) phase(m *harness.Meter, d time.Duration, other func(seed string) string, attacked bool) (p phase, err error) {
	log := &discarded{}
	s := &nodes{ctx: m.Context()}
	defer func() { err = errors.Join(err, s.close()) }()
	to, err := s.start(a.config, a.ofNode(log)...)
	if err != nil {
		return p, err
	}
	from, err := s.start(gamelan.Config{Listen: []string{gamelan.ListenNowhere}, DHT: a.config.DHT, PlainOnProfile: a.config.PlainOnProfile, Client: a.clients})
	if err != nil {
		return p, err
	}
	if err := connect(s.ctx, from, to); err != nil {
		return p, err
	}
	if out, err := from.Send(s.ctx, to.ID(), []byte("hello")); err != nil || out.Err != nil {
		return p, errors.Join(err, out.Err)
	}
	var report func(*harness.Meter)
	if a.stage != nil {
		if report, err = a.stage(s.ctx, to); err != nil {
			return p, err
		}
	}
	handedOut := func() float64 { return 0 }
	if a.letters != nil {
		if handedOut, err = a.letters(s.ctx, to); err != nil {
			return p, err
		}
	}
	process, err := startOther(s.ctx, attackVariable+"="+other(to.Seed()))
	if err != nil {
		return p, err
	}
	stop := sync.OnceValue(process.stop)
	defer func() { err = errors.Join(err, stop()) }()
	if attacked {
		select {
		case <-time.After(a.rest):
		case <-s.ctx.Done():
			return p, s.ctx.Err()
		}
	}
	peak := harness.WatchMemory()
	defer peak()
	logged := log.n.Load()
	if err := process.begin(); err != nil {
		return p, err
	}
	ctx, cancel := context.WithTimeout(s.ctx, d)
	defer cancel()
	var seen sights
	var wg sync.WaitGroup
	var sent, dialled error
	wg.Go(func() { seen, sent = honest(ctx, s.ctx, from, to, a.pingEvery(d), a.sending()...) })
	wg.Go(func() { p.dials, p.succeeded, dialled = a.freshDials(ctx, s.ctx, to) })
	wg.Wait()
	p.memory, p.logged = float64(peak()), float64(log.n.Load()-logged)/d.Seconds()
	if err := errors.Join(sent, dialled); err != nil {
		return p, err
	}
	p.all, p.failed, p.sends, p.pings = seen.sends, float64(seen.failed), p50(seen.sends), p50(seen.pings)
	said, err := process.last()
	if err != nil {
		return p, err
	}
	if _, err := fmt.Sscan(said, &p.share, &p.strokes); err != nil {
		return p, fmt.Errorf("the other process said %q: %w", said, err)
	}
	p.handedOut = handedOut()
	if report != nil && attacked {
		report(m)
	}
	return p, stop()
}

// ofNode are the options of the node under attack, whose log is counted.
func (a attack) ofNode(log io.Writer) []gamelan.Option {
	opts := append([]gamelan.Option{
		handle(func(actor.Context) {}), gamelan.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))),
	}, a.options...)
	if a.placed {
		opts = append(opts, gamelan.WithTransport(placedTCP{tcp.New(tcp.Options{})}))
	}
	return opts
}

// discarded counts the bytes of what is written and forgets it.
type discarded struct{ n atomic.Uint64 }

func (s *discarded) Write(b []byte) (int, error) {
	s.n.Add(uint64(len(b)))
	return len(b), nil
}

// pingEvery is how often the honest peer pings in a phase of d; 0 is never.
func (a attack) pingEvery(d time.Duration) time.Duration {
	if a.config.DHT == nil {
		return 0
	}
	return max(d/pingsEach, time.Millisecond)
}

// sending are the options of the honest peer's sends.
func (a attack) sending() (opts []gamelan.SendOption) {
	if a.outcome != nil {
		opts = append(opts, a.outcome)
	}
	return opts
}

// sights are what an honest peer saw.
type sights struct {
	sends, pings []time.Duration
	failed       int // sends
}

// honest sends to a node, and pings it, until ctx ends and there is one of each.
// It takes the time of sends that succeeded and of all pings.
func honest(ctx, all context.Context, from, to *gamelan.Node, pingEvery time.Duration, opts ...gamelan.SendOption) (seen sights, err error) {
	body := payload(32)
	pinged := time.Now()
	for ctx.Err() == nil || len(seen.sends)+seen.failed == 0 || pingEvery > 0 && len(seen.pings) == 0 {
		begin := time.Now()
		within, cancel := context.WithTimeout(all, sendWithin)
		out, sent := from.Send(within, to.ID(), body, opts...)
		cancel()
		if sent == nil && out.Err == nil {
			seen.sends = append(seen.sends, time.Since(begin))
		} else {
			seen.failed, err = seen.failed+1, errors.Join(sent, out.Err)
		}
		if pingEvery > 0 && time.Since(pinged) > pingEvery {
			pinged = time.Now()
			within, cancel := context.WithTimeout(all, pingWithin)
			took, lost := from.DHT().Ping(within, to.ID())
			cancel()
			if lost != nil {
				took, err = pingWithin, lost
			}
			seen.pings = append(seen.pings, took)
		}
		time.Sleep(sendEvery)
	}
	if len(seen.sends) == 0 {
		return seen, fmt.Errorf("no send of an honest peer succeeded: %w", err)
	}
	return seen, nil
}

// freshDials has nodes that nobody knows dial a node, until ctx ends.
func (a attack) freshDials(ctx, all context.Context, to *gamelan.Node) (dials, succeeded float64, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var count, good int
	for tick := time.NewTicker(dialEvery); ctx.Err() == nil; <-tick.C {
		count++
		wg.Go(func() {
			s := &nodes{ctx: all}
			n, started := s.start(gamelan.Config{Listen: []string{gamelan.ListenNowhere}, DHT: a.config.DHT, Client: a.clients})
			if started == nil {
				within, cancel := context.WithTimeout(all, dialWithin)
				defer cancel()
				if connect(within, n, to) == nil && (a.call == nil || a.call(within, n, to) == nil) {
					mu.Lock()
					good++
					mu.Unlock()
				}
			}
			closed := s.close()
			mu.Lock()
			err = errors.Join(err, started, closed)
			mu.Unlock()
		})
	}
	wg.Wait()
	return float64(count), 100 * float64(good) / float64(count), err
}

func p50(all []time.Duration) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[len(sorted)/2])
}

// Attacker is the other process of Attacks: it does that and reports true if this
// is one. Its last line is how many processors it used, and how many strokes it
// did in a second.
func Attacker() (was bool, err error) {
	text, was := os.LookupEnv(attackVariable)
	if !was {
		return false, nil
	}
	name, argument, _ := strings.Cut(text, " ")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	strike, err := strikeOf(ctx, name, argument)
	if err != nil {
		return true, err
	}
	var count atomic.Uint64
	var begin time.Time
	var cpu time.Duration
	failed := make(chan error, 1)
	err = untilTold("ready", func() error {
		begin, cpu = time.Now(), harness.ProcessCPU()
		go func() {
			if err := strike(ctx, &count); err != nil && ctx.Err() == nil {
				failed <- err
			}
		}()
		return nil
	}, failed)
	if err == nil && !begin.IsZero() {
		took := time.Since(begin).Seconds()
		fmt.Println((harness.ProcessCPU()-cpu).Seconds()/took, float64(count.Load())/took)
	}
	return true, err
}

func strikeOf(ctx context.Context, name, argument string) (func(context.Context, *atomic.Uint64) error, error) {
	if name == burn {
		share, err := strconv.ParseFloat(argument, 64)
		return func(ctx context.Context, count *atomic.Uint64) error {
			burnProcessors(ctx, share, count)
			return nil
		}, err
	}
	for _, a := range attacks() {
		if a.name == name {
			return a.prepare(ctx, argument)
		}
	}
	return nil, fmt.Errorf("no attack is named %q", name)
}

// burnProcessors keeps so many processors busy.
func burnProcessors(ctx context.Context, share float64, count *atomic.Uint64) {
	const slice = 2 * time.Millisecond
	var wg sync.WaitGroup
	workers := max(1, min(runtime.NumCPU(), int(share)+1))
	for range workers {
		wg.Go(func() {
			busy := time.Duration(min(1, share/float64(workers)) * float64(slice))
			for ctx.Err() == nil {
				begin := time.Now()
				for time.Since(begin) < busy {
				}
				count.Add(1)
				time.Sleep(slice - busy)
			}
		})
	}
	wg.Wait()
}
