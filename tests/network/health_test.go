package network

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/gamelantest"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/tests/internal/kit"
)

// health returns the state of a node with the codes of its reasons and warnings, and the reasons.
func health(t *testing.T, n *gamelantest.Node) (state, reasons string) {
	t.Helper()
	h := n.Health(t.Context())
	state = string(h.State)
	for _, r := range h.Reasons {
		state += " " + r.Code
	}
	for _, w := range h.Warnings {
		state += " (" + w.Code + ")"
	}
	return state, strings.Join(h.Reasons.Texts(), "; ")
}

func wantHealth(t *testing.T, what string, n *gamelantest.Node, want string) (reasons string) {
	t.Helper()
	got, reasons := health(t, n)
	if got != want {
		t.Errorf("%s: got %s (%s), want %s", what, got, reasons, want)
	}
	return reasons
}

// ready returns the statuses of /healthz and /readyz.
func ready(t *testing.T, n *gamelantest.Node) (alive, ready int) {
	t.Helper()
	h := inspect.Handler(n.Inspection().Options)
	ask := func(path string) int {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = "localhost"
		h.ServeHTTP(w, r)
		return w.Code
	}
	return ask("/healthz"), ask("/readyz")
}

func lineOf(n *gamelantest.Node) string { return n.PublicKey().String() + "::" + n.Addr.String() }

// TestBubbleOffline: a node that is connected to nobody for longer than it may be is degraded, names
// whom it has tried, and is ok again when it is connected.
func TestBubbleOffline(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		seed := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
		a := net.Start(gamelan.Config{NoDHT: true, Floor: 8, Seeds: []string{lineOf(seed)}}, kit.Quiet)
		events := make(chan string, 100)
		go func() { // ends with the node
			defer close(events)
			for e := range a.Events(context.Background()) {
				switch m := e.Value.(type) {
				case gamelan.TroubleBegan:
					events <- m.Notice.Code
				case gamelan.TroubleOver:
					events <- m.Code + " over"
				}
			}
		}()
		time.Sleep(time.Minute)
		wantHealth(t, "connected", a, "ok")
		net.Partition(a, seed)
		gamelantest.Eventually(t, 5*time.Minute, "offline", func() bool { s, _ := a.Status(t.Context()); return s.State == "offline" })
		time.Sleep(119 * time.Second)
		wantHealth(t, "offline for less than two minutes", a, "ok")
		time.Sleep(61 * time.Second)
		why := wantHealth(t, "offline for three minutes", a, "degraded offline")
		if !strings.HasPrefix(why, "offline for 3 min: no answer from "+seed.Addr.String()+" (seed), tried ") || !strings.Contains(why, " times; check that the address is right and that no firewall is in between") {
			t.Errorf("got %q, want for how long, the seed, why, and how often it was tried", why)
		}
		if alive, ready := ready(t, a); alive != 200 || ready != 200 {
			t.Errorf("got /healthz %d and /readyz %d of a node that listens, want both 200: others can come", alive, ready)
		}
		net.Heal(a, seed)
		gamelantest.Eventually(t, 5*time.Minute, "online", func() bool { s, _ := a.Status(t.Context()); return s.State == "online" })
		wantHealth(t, "connected again", a, "ok")
		for _, want := range []string{"offline", "offline over"} {
			if got := <-events; got != want {
				t.Errorf("got the event %q, want %q", got, want)
			}
		}
		if alive, ready := ready(t, a); alive != 200 || ready != 200 {
			t.Errorf("got /healthz %d and /readyz %d, want both 200", alive, ready)
		}
	})
}

// TestBubbleAloneAtFirst: the first node of a network is no degraded one, says what to do, and is degraded once
// it has known others and is cut off from them. One that does not listen is degraded at once.
func TestBubbleAloneAtFirst(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		first := net.Start(gamelan.Config{NoDHT: true, Floor: 8}, kit.Quiet)
		deaf := net.Start(gamelan.Config{NoDHT: true, Floor: 8, Listen: []string{gamelan.ListenNowhere}}, kit.Quiet)
		named := net.Start(gamelan.Config{Floor: 8, Discovery: gamelan.DiscoveryConfig{SeedNames: []string{"seeds.example.org"}}}, kit.Quiet)
		wantHealth(t, "at the start", first, "ok")
		time.Sleep(24 * time.Hour)
		wantHealth(t, "alone for a day", first, "ok (alone)")
		if w := first.Health(t.Context()).Warnings[0]; !strings.HasPrefix(w.What, "alone for 24 h: ") || !strings.Contains(w.Step, "node.seeds") {
			t.Errorf("got %q, want for how long, and what to do", w)
		}
		if alive, ready := ready(t, deaf); alive != 200 || ready != 503 {
			t.Errorf("got /healthz %d and /readyz %d of a node that does not listen, want 200 and 503", alive, ready)
		}
		if why := wantHealth(t, "a client alone", deaf, "degraded offline"); !strings.Contains(why, "does not listen; give") {
			t.Errorf("got %q, want why, and what to do", why)
		}
		if why := wantHealth(t, "a node whose settings name seeds that are not found", named, "degraded offline (seed_names)"); !strings.Contains(why, "no transport of this node looks up names; name the seeds under node.seeds") {
			t.Errorf("got %q, want why, and what to do", why)
		}
		if s, err := named.Status(t.Context()); err != nil || !strings.Contains(s.Cause, "no transport of this node looks up names; name the seeds under node.seeds") || strings.Contains(s.Cause, "add a seed") {
			t.Errorf("got %+v, %v, want why no seed is known", s, err)
		}

		second := net.Start(gamelan.Config{NoDHT: true, Floor: 8, Seeds: []string{lineOf(first)}}, kit.Quiet)
		time.Sleep(time.Minute)
		wantHealth(t, "with another node", first, "ok")
		net.Partition(first, second)
		time.Sleep(10 * time.Minute)
		wantHealth(t, "cut off from it", first, "degraded offline")
	})
}

// TestBubbleFewNodes: a node that has less nodes than it wants is degraded, after the time that the settings say.
func TestBubbleFewNodes(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{NoDHT: true, MinConnected: 2, Health: gamelan.HealthConfig{OfflineAfter: 10 * time.Minute}}, kit.Quiet)
		b, client := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet), net.Start(gamelan.Config{NoDHT: true, Client: true}, kit.Quiet)
		net.Connect(client, a)
		time.Sleep(20 * time.Minute)
		wantHealth(t, "with a client alone", a, "ok (alone)")
		net.Connect(b, a)
		synctest.Wait()
		if why := wantHealth(t, "with one node", a, "degraded few_nodes"); !strings.HasPrefix(why, "not online for 20 min: connected to 1 node, at least 2 are needed") {
			t.Errorf("got %q", why)
		}
		net.Connect(net.Start(gamelan.Config{NoDHT: true}, kit.Quiet), a)
		synctest.Wait()
		wantHealth(t, "with two", a, "ok")
	})
}

// TestBubbleSeedsSilent: no seed answers, and a setting makes the node degraded by that.
func TestBubbleSeedsSilent(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		gone := gamelantest.Secret(77).PublicKey().String() + "::/memory/77"
		a := net.Start(gamelan.Config{Floor: 8, Seeds: []string{gone}}, kit.Quiet)
		strict := net.Start(gamelan.Config{Floor: 8, Seeds: []string{gone}, Health: gamelan.HealthConfig{DegradedBy: []string{"seeds_silent"}}}, kit.Quiet)
		other := net.Start(gamelan.Config{}, kit.Quiet)
		net.Connect(other, a)
		net.Connect(other, strict)
		time.Sleep(5 * time.Minute)
		wantHealth(t, "no seed", a, "ok (seeds_silent)")
		why := wantHealth(t, "no seed, and strict", strict, "degraded seeds_silent")
		if !strings.HasPrefix(why, "the seed has not answered, ") || !strings.Contains(why, " ago: /memory/77 refuses connections; ") {
			t.Errorf("got %q, want why", why)
		}
	})
}

// TestBubbleSeedAskedAgain: a node that is connected to others asks a seed that was away again after an hour. That holds
// beside seeds that are still away, and those that the node may not dial.
func TestBubbleSeedAskedAgain(t *testing.T) {
	const at = "/memory/77"
	const excluded = "/ip4/127.0.0.1/tcp/18141"
	back := gamelantest.Secret(77)
	other := func(after identity.NodeID) *identity.Secret { // the next one behind it in the order of seeds
		for n := 100; ; n++ {
			if s := gamelantest.Secret(n); s.PublicKey().NodeID().Compare(after) > 0 {
				return s
			}
		}
	}
	middle := other(back.PublicKey().NodeID())
	last := other(middle.PublicKey().NodeID())
	for name, others := range map[string][]string{
		"alone":               nil,
		"excluded behind it":  {middle.PublicKey().String() + "::" + excluded},
		"excluded in between": {middle.PublicKey().String() + "::" + excluded, last.PublicKey().String() + "::/memory/78"},
	} {
		t.Run(name, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				net := gamelantest.NewNetwork(t)
				a := net.Start(gamelan.Config{
					Floor: 1, ExcludeDial: []string{"127.0.0.0/8"}, Seeds: append([]string{back.PublicKey().String() + "::" + at}, others...),
					Discovery: gamelan.DiscoveryConfig{IdleAfterRounds: 1, Idle: 24 * time.Hour}, // so that no round asks the seed later
				}, kit.Quiet)
				time.Sleep(time.Minute)
				for range 30 { // so many that no recovery asks the seed
					if _, err := a.DialAt(t.Context(), lineOf(net.Start(gamelan.Config{}, kit.Quiet))); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(5 * time.Minute)
				wantHealth(t, "no seed", a, "ok (seeds_silent)")
				net.Start(gamelan.Config{Secret: back, Listen: []string{at}}, kit.Quiet)
				time.Sleep(time.Duration(1+len(others)) * 61 * time.Minute)
				wantHealth(t, "later", a, "ok")
			})
		})
	}
}

// TestBubbleInDoubt: a node whose messages are in doubt too often is degraded for an hour.
func TestBubbleInDoubt(t *testing.T) {
	for _, limit := range []int{10, 60} {
		gamelantest.Bubble(t, func(t *testing.T) {
			net := gamelantest.NewNetwork(t)
			a := net.Start(gamelan.Config{NoDHT: true, Health: gamelan.HealthConfig{InDoubt: limit}}, kit.Quiet)
			b := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet, gamelan.WithHandler(gamelantest.NewCollector().New))
			net.Connect(a, b)
			send := func(n int, want protocol.OutcomeKind, meanwhile func(), opts ...gamelan.SendOption) {
				t.Helper()
				var open []*gamelan.Pending[gamelan.Outcome]
				for i := range n {
					open = append(open, kit.Enqueue(t, a, b, fmt.Sprint(i), opts...))
				}
				time.Sleep(time.Second)
				meanwhile()
				for _, p := range open {
					if got := p.Wait(t.Context()); got.Kind != want {
						t.Fatalf("got %v, want %v", got, want)
					}
				}
			}
			nothing := func() {}
			send(15, protocol.Confirmed, nothing)
			net.Partition(a, b)
			send(4, protocol.InDoubt, func() { net.Cut(a, b) })
			wantHealth(t, "19 messages say nothing", a, "ok")
			net.Heal(a, b)
			time.Sleep(time.Minute) // both know of the end
			net.Connect(a, b)
			send(7, protocol.Confirmed, nothing, gamelan.Handled())
			if limit == 60 {
				wantHealth(t, "below the limit", a, "ok")
				return
			}
			if why := wantHealth(t, "15 % in doubt", a, "degraded in_doubt"); !strings.HasPrefix(why, "15 % of the messages of the last hour are in doubt: 4 of 26, all to one peer; ") {
				t.Errorf("got %q", why)
			}
			c := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
			net.Connect(a, c)
			wantHealth(t, "there is another peer", a, "ok (in_doubt)")
			net.Partition(a, b)
			net.Cut(a, b)
			time.Sleep(time.Minute)
			wantHealth(t, "there is the other peer alone", a, "ok (in_doubt)")
			time.Sleep(61 * time.Minute)
			wantHealth(t, "an hour later", a, "ok")
		})
	}
}

// TestBubbleRestarting: a node one of whose actors fails again and again is degraded.
func TestBubbleRestarting(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		a := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
		net.Connect(a, net.Start(gamelan.Config{NoDHT: true}, kit.Quiet))
		for i := range 6 {
			wantHealth(t, fmt.Sprint(i, " failures"), a, "ok")
			if !gamelantest.Crash(a.Node, "dialer", "a bug") {
				t.Fatal("the dialer is not there")
			}
			time.Sleep(80 * time.Second)
		}
		if why := wantHealth(t, "six failures", a, "degraded restarting"); !strings.HasPrefix(why, "actor dialer has failed 6 times in the last 10 minutes, last 1m20s ago: a bug") {
			t.Errorf("got %q", why)
		}
		time.Sleep(2 * time.Minute)
		wantHealth(t, "later", a, "ok")
	})
}

// TestDiskFull: a node whose disk has less room than it needs is degraded, and names what is needed.
func TestDiskFull(t *testing.T) {
	for need, want := range map[int64]models.HealthState{1 << 20: models.HealthOK, 1 << 50: models.HealthDegraded} {
		dir := t.TempDir()
		n, err := gamelan.Start(t.Context(), gamelan.Config{DataDir: dir, Health: gamelan.HealthConfig{DiskFree: need}}, kit.Quiet)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close(context.Background()) })
		gamelantest.Eventually(t, kit.Patience, "a look at the disk", func() bool { return n.Inspection().Node(t.Context()).Disk != nil })
		h, disk := n.Health(t.Context()), n.Inspection().Node(t.Context()).Disk
		if h.State != want || disk.Path != dir || disk.Need != need || disk.Free <= 0 {
			t.Errorf("with a need of %d: got %+v, %+v, want %s", need, h, disk, want)
		}
		if want == models.HealthOK {
			continue
		}
		if r := h.Reasons[0]; r.Code != "disk_full" || r.Args["path"] != dir || r.Args["need"] != fmt.Sprint(need) || !strings.HasPrefix(r.What, "the disk of "+dir+" is nearly full: ") {
			t.Errorf("got %+v, want the path, what is free and what is needed", r)
		}
	}
}

// TestHealthSettings: bad thresholds are refused, each with its name.
func TestHealthSettings(t *testing.T) {
	for name, c := range map[string]gamelan.HealthConfig{
		"Health.OfflineAfter": {OfflineAfter: -time.Second},
		"Health.DiskFree":     {DiskFree: 1},
		"Health.InboxLevel":   {InboxLevel: 101},
		"Health.InDoubt":      {InDoubt: -1},
		"Health.Restarts":     {Restarts: 1001},
		"Health.ClockOff":     {ClockOff: 25 * time.Hour},
		"Health.Heartbeat":    {Heartbeat: -time.Minute},
		"Health.DegradedBy":   {DegradedBy: []string{"offline"}},
	} {
		err := gamelan.Config{Health: c}.Validate()
		if err == nil || !strings.Contains(err.Error(), name+": ") {
			t.Errorf("%+v: got %v, want an error of %s", c, err, name)
		}
	}
	if err := (gamelan.Config{Health: gamelan.HealthConfig{DegradedBy: []string{"no_such"}}}).Validate(); err == nil || !strings.Contains(err.Error(), `no code "no_such"`) {
		t.Errorf("got %v, want the code refused", err)
	}
}

// TestBubblePeerLost: a peer that the user protects, one that is a seed, or that was connected for long, and that is cut off while others
// are connected, is a warning with the cause and the time, and an event; a stranger is none.
func TestBubblePeerLost(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		net := gamelantest.NewNetwork(t)
		other, mine, brief := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet), net.Start(gamelan.Config{NoDHT: true}, kit.Quiet), net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
		a := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
		net.Connect(a, other)
		net.Connect(a, mine)
		net.Connect(a, brief)
		a.Protect(mine.ID(), "test")
		net.Partition(a, mine)
		net.Partition(a, brief)
		time.Sleep(time.Minute)
		wantHealth(t, "at once", a, "ok")
		for range 3 {
			_, _ = a.Dial(t.Context(), brief.ID()) // it fails
		}
		time.Sleep(9 * time.Minute)
		wantHealth(t, "after ten minutes", a, "ok (peer_lost)")
		n := a.Health(t.Context()).Warnings[0]
		if !strings.HasPrefix(n.What, "peer "+mine.ID().String()+", which is protected, is not reached for ") || !strings.Contains(n.What, ", while 1 other is: no answer from "+mine.Addr.String()+", tried ") {
			t.Errorf("got %q, want who, since when and why", n.What)
		}
		if n.Args["peer"] != mine.ID().String() || n.Args["cause"] != "dial_no_answer" || n.Args["since"] == "" {
			t.Errorf("got %v", n.Args)
		}
		net.Heal(a, mine)
		time.Sleep(3 * time.Minute)
		wantHealth(t, "connected again", a, "ok")
		recorded, err := a.Inspection().Recorded(inspect.EventQuery{Types: []string{"trouble"}, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, e := range recorded.Events {
			got += e.Type + " " + e.Code + ", "
		}
		if got != "trouble.began peer_lost, trouble.over peer_lost, " {
			t.Errorf("got the events %s", got)
		}
	})
}

// TestBubbleSleep: a machine that sleeps is no clock that was set: the log says how long, and what lasted has it in it.
func TestBubbleSleep(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		var log journal
		net := gamelantest.NewNetwork(t)
		b := net.Start(gamelan.Config{NoDHT: true}, kit.Quiet)
		a := net.Start(gamelan.Config{NoDHT: true}, log.option())
		set := make(chan gamelan.ClockSet, 10)
		go func() {
			defer close(set)
			for e := range a.Events(context.Background()) {
				if m, ok := e.Value.(gamelan.ClockSet); ok {
					set <- m
				}
			}
		}()
		net.Connect(a, b)
		time.Sleep(10 * time.Minute)
		a.Clock.Suspend(8 * time.Hour)
		net.Cut(a, b)
		time.Sleep(time.Minute)
		a.Clock.Step(time.Hour) // that is one
		time.Sleep(time.Minute)
		if got := <-set; got.By.Round(time.Second) != time.Hour || len(set) > 0 {
			t.Errorf("got the clock set by %v, and %d more, want an hour alone", got.By, len(set))
		}
		slept := log.lines(t, "the machine slept")
		if len(slept) != 1 || time.Duration(slept[0]["for"].(float64)) != 8*time.Hour {
			t.Errorf("got %v, want 8 h once", slept)
		}
		ends := log.lines(t, "disconnected")
		if len(ends) != 1 || time.Duration(ends[0]["lasted"].(float64)) < 8*time.Hour {
			t.Errorf("got %v, want a connection of more than 8 h", ends)
		}
	})
}
