package machines

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/tests/machines/internal/bed"
	"github.com/gamelan-p2p/gamelan/tests/machines/internal/internet"
)

// The table says how many seconds after an event each end notices it, names it, and is healed:
//
//   - noticed: the connection is not there any more, or is called silent. Where an address
//     changes, its own end advertises the new one, and the other end knows it.
//   - named: "gamelan why PEER" or "gamelan status" names the cause in words.
//   - healed: a message from this end is confirmed, counted from when the fault is over.
//
// Nothing of it is asserted here but that messages arrive before the event and after it. No row
// fails because something took long.
//
// GAMELAN_MACHINES_TABLE names a page for the results of the long form. Without it, the faults
// of some rows are kept for a short time.

const (
	longFault   = 150 * time.Second // most that a fault is kept until both ends name it
	shortFault  = 15 * time.Second
	healLimit   = 90 * time.Second
	connecting  = 90 * time.Second
	lookEvery   = 250 * time.Millisecond
	sayEvery    = 2 * time.Second // the commands that people type take processor time
	sendEvery   = time.Second
	listenLimit = 20 * time.Second // for a reader behind a pipe
)

// event is what happens between two connected machines, here and its peer.
type event struct {
	name      string
	short     bool // it is in the short form, too
	traffic   bool // both ends send a message a second
	peerDials bool // the peer has dialled the connection
	nat       bool // here is behind a NAT that forwards its port
	begin     func(*scene)
	holds     time.Duration // how long the fault is kept; 0: until both ends have named it
	end       func(*scene)  // nil: the change stays
	here      signs
	peer      signs
}

// signs are those of an event at one end.
type signs struct {
	asleep  bool             // the end cannot be asked while the fault is there
	notices func(*view) bool // nil: its connection is not plainly there
	names   *regexp.Regexp   // nil: nothing is to be named
}

// Words by which an end can name a cause.
var (
	noCarrier = regexp.MustCompile(`(?i)carrier|cable|link (is )?down|network is (down|unreachable)`)
	noAnswer  = regexp.MustCompile(`(?i)no answer|not answer|silent|no pong|timed out|timeout|unreachable|no route`)
	moved     = regexp.MustCompile(`(?i)moved|new address|another address|address.{0,40}changed|changed.{0,40}address`)
)

var events = []event{
	{
		name: "cable, idle", short: true,
		begin: func(s *scene) { s.here.Cut() }, end: func(s *scene) { s.here.Mend() },
		here: signs{names: noCarrier}, peer: signs{names: noAnswer},
	},
	{
		name: "cable, traffic", traffic: true,
		begin: func(s *scene) { s.here.Cut() }, end: func(s *scene) { s.here.Mend() },
		here: signs{names: noCarrier}, peer: signs{names: noAnswer},
	},
	{
		name: "DROP both ways, traffic", short: true, traffic: true,
		begin: func(s *scene) { s.net.Drop(s.here, s.there) }, end: func(s *scene) { s.here.Router.ClearRules() },
		here: signs{names: noAnswer}, peer: signs{names: noAnswer},
	},
	{
		name:  "DROP both ways, idle",
		begin: func(s *scene) { s.net.Drop(s.here, s.there) }, end: func(s *scene) { s.here.Router.ClearRules() },
		here: signs{names: noAnswer}, peer: signs{names: noAnswer},
	},
	{
		name: "address changes, of the end that dialled", short: true,
		begin: func(s *scene) { s.here.ChangeAddress() },
		here:  signs{notices: advertises, names: moved}, peer: signs{notices: knows, names: moved},
	},
	{
		name: "address changes, of the end that was dialled", peerDials: true,
		begin: func(s *scene) { s.here.ChangeAddress() },
		here:  signs{notices: advertises, names: moved}, peer: signs{notices: knows, names: moved},
	},
	{
		name:  "cable for 20 s, then another address",
		begin: func(s *scene) { s.here.Cut() }, holds: 20 * time.Second, end: func(s *scene) { s.here.ChangeAddress(); s.here.Mend() },
		here: signs{notices: advertises, names: moved}, peer: signs{notices: knows, names: moved},
	},
	{
		name: "router reboots for 10 s, traffic", short: true, traffic: true,
		begin: func(s *scene) { s.here.Router.Off() }, holds: 10 * time.Second, end: func(s *scene) { s.here.Router.On() },
		here: signs{names: noCarrier}, peer: signs{names: noAnswer},
	},
	{
		name: "router with NAT reboots for 10 s, then another address", traffic: true, nat: true,
		begin: func(s *scene) { s.here.Router.Off() }, holds: 10 * time.Second, end: func(s *scene) { s.here.Router.ChangeAddress(); s.here.Router.On() },
		here: signs{notices: advertises, names: moved}, peer: signs{notices: knows, names: moved},
	},
	{
		name: "machine is suspended for 10 s, traffic", traffic: true,
		begin: func(s *scene) { s.here.Suspend() }, holds: 10 * time.Second, end: func(s *scene) { s.here.Resume() },
		here: signs{asleep: true}, peer: signs{names: noAnswer},
	},
	{
		name: "machine is suspended for 10 s at a round trip of 100 ms, traffic", traffic: true,
		begin: func(s *scene) {
			s.net.Internet.Everywhere(internet.Path{Delay: 50 * time.Millisecond})
			time.Sleep(5 * time.Second) // the nodes learn of it
			s.here.Suspend()
		},
		holds: 15 * time.Second, end: func(s *scene) { s.here.Resume() },
		here: signs{asleep: true}, peer: signs{names: noAnswer},
	},
	{
		name:  "machine is suspended",
		begin: func(s *scene) { s.here.Suspend() }, end: func(s *scene) { s.here.Resume() },
		here: signs{asleep: true}, peer: signs{names: noAnswer},
	},
	{
		name: "program is stopped (SIGSTOP), traffic", traffic: true,
		begin: func(s *scene) { s.here.Stop() }, end: func(s *scene) { s.here.Continue() },
		here: signs{asleep: true}, peer: signs{names: noAnswer},
	},
}

// scene is two connected nodes, and a third one that both know.
type scene struct {
	t           *testing.T
	net         *bed.Bed
	seed        *bed.Machine
	here, there *bed.Machine
}

// view is what one end shows.
type view struct {
	signs
	m, peer                *bed.Machine
	before                 string         // its connections before the event
	says                   []*bed.Process // commands that run
	sends                  []*bed.Process
	said, sent             time.Time
	noticed, named, healed time.Duration // 0: not yet
	text                   string        // what named it
}

func newScene(t *testing.T) *scene {
	t.Helper()
	net, err := bed.Start("A", "B", "C")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := net.Close(); err != nil {
			t.Error(err)
		}
	})
	net.Use(t)
	return &scene{t, net, net.Machine("A"), net.Machine("B"), net.Machine("C")}
}

// start starts the three nodes, and lets one end dial the other.
func (s *scene) start(e *event) {
	s.t.Helper()
	first, second := s.there, s.here
	if e.peerDials {
		first, second = second, first
	}
	s.seed.Node("--listen", bed.Listen)
	first.Node("--listen", bed.Listen, "--peer", s.seed.Line())
	second.Node("--listen", bed.Listen, "--peer", s.seed.Line(), "--peer", first.Line())
	s.net.Within(connecting, second.Name+" dials "+first.Name, func() bool {
		all := second.Connections(first)
		if len(all) == 1 && all[0].Direction != "outbound" {
			second.Try("disconnect", first.Key())
			second.Try("dial", first.Line())
			return false
		}
		return len(all) == 1 && first.Connected(second) && s.here.Connected(s.seed) && s.there.Connected(s.seed)
	})
}

// advertises reports whether a node gives others its machine's address, and no other one.
func advertises(v *view) bool { return onlyAddress(v.m, "/v1/node", v.m) }

// knows reports whether a node knows its peer's address.
func knows(v *view) bool { return onlyAddress(v.m, "/v1/peers/"+v.peer.Key(), v.peer) }

func onlyAddress(asked *bed.Machine, path string, of *bed.Machine) bool {
	var answer struct{ Addresses []any }
	if asked.Get(path, &answer) != nil {
		return false
	}
	text := fmt.Sprint(answer.Addresses)
	for _, m := range regexp.MustCompile(`/ip4/([0-9.]+)`).FindAllStringSubmatch(text, -1) {
		if ip := netip.MustParseAddr(m[1]); !ip.IsLoopback() && ip != of.Public() && ip != of.Addr() {
			return false
		}
	}
	return strings.Contains(text, of.Public().String())
}

// look takes the present state of an end, t after the event.
func (v *view) look(t time.Duration) {
	if v.noticed == 0 {
		notices := v.notices
		if notices == nil {
			notices = func(v *view) bool { return v.connections() != v.before }
		}
		if notices(v) {
			v.noticed = t
		}
	}
	if v.names == nil || v.named != 0 {
		return
	}
	text, running := "", false
	for _, p := range v.says {
		running = running || !p.Ended()
		text += p.Out()
	}
	switch {
	case running:
	case v.names.MatchString(text):
		v.named, v.text = t, text
	case time.Since(v.said) > sayEvery:
		v.said = time.Now()
		v.says = []*bed.Process{v.m.Gamelan("why", v.peer.Key()), v.m.Gamelan("status")}
	}
	if v.named == 0 && !running {
		v.text = text
	}
	if v.noticed == 0 && strings.Contains(text, "silent") {
		v.noticed = t
	}
}

func (v *view) connections() string { return fmt.Sprint(v.m.Connections(v.peer)) }

// send looks whether a message has arrived, t after the fault, and sends another one.
func (v *view) send(t time.Duration) {
	for _, p := range v.sends {
		if v.healed == 0 && p.Ended() && p.Code() == 0 {
			v.healed = t
		}
	}
	if v.healed == 0 && time.Since(v.sent) > sendEvery {
		v.sent = time.Now()
		v.sends = append(v.sends, v.m.Gamelan("send", v.peer.Key(), "are you there?"))
	}
}

func (v *view) over() bool { return v.noticed != 0 && (v.names == nil || v.named != 0) }

// traffic is a message a second from one end to the other.
type traffic struct {
	from, to     *bed.Machine
	send, listen *bed.Process
}

func startTraffic(from, to *bed.Machine) *traffic {
	listen := to.Gamelan("listen", "--raw")
	return &traffic{from, to, from.Shell("i=0; while [ ! -e stop ]; do i=$((i+1)); echo message $i; sleep 1; done | gamelan send --retry " + to.Key()), listen}
}

// outcomes is what became of the messages of a traffic. Messages have the numbers of their lines.
type outcomes struct {
	said    map[string][]string // numbers by what the sender says of them
	arrived map[string]bool
}

// result ends the traffic, and says what became of it. A message that is confirmed must have
// arrived, and one that has failed must not have.
func (tr *traffic) result(t *testing.T) outcomes {
	t.Helper()
	tr.from.Start(nil, "touch", "stop").Code()
	for end := time.Now().Add(healLimit); !tr.send.Ended() && time.Now().Before(end); time.Sleep(lookEvery) {
	}
	o := outcomes{make(map[string][]string), make(map[string]bool)}
	for line := range strings.Lines(tr.send.Out()) {
		number, outcome, _ := strings.Cut(strings.TrimSpace(line), " ")
		kind, _, _ := strings.Cut(outcome, ":")
		o.said[kind] = append(o.said[kind], number)
	}
	for end := time.Now().Add(listenLimit); ; time.Sleep(lookEvery) { // what is confirmed is written a moment later
		for line := range strings.Lines(tr.listen.Out()) {
			if number, ok := strings.CutPrefix(line, "message "); ok && strings.HasSuffix(number, "\n") {
				o.arrived[strings.TrimSpace(number)] = true
			}
		}
		missing := slices.ContainsFunc(o.said["confirmed"], func(number string) bool { return !o.arrived[number] })
		if !missing || time.Now().After(end) {
			break
		}
	}
	for _, number := range o.said["confirmed"] {
		if !o.arrived[number] {
			t.Errorf("message %s from %s to %s is confirmed, and has not arrived", number, tr.from.Name, tr.to.Name)
		}
	}
	for _, number := range o.said["failed"] {
		if o.arrived[number] {
			t.Errorf("message %s from %s to %s has failed, and has arrived", number, tr.from.Name, tr.to.Name)
		}
	}
	return o
}

func (o outcomes) String() string {
	return fmt.Sprintf("%d confirmed, %d in doubt, %d failed; %d arrived",
		len(o.said["confirmed"]), len(o.said["in doubt"]), len(o.said["failed"]), len(o.arrived))
}

// rows carries out an event, and returns a row of the table for each end.
func (e *event) rows(t *testing.T, fault time.Duration) string {
	s := newScene(t)
	if e.nat {
		s.here.Router.NAT()
		s.here.Router.Forward(bed.Port)
	}
	s.start(e)
	here := &view{signs: e.here, m: s.here, peer: s.there}
	there := &view{signs: e.peer, m: s.there, peer: s.here}
	ends := []*view{here, there}
	var flows []*traffic
	for _, v := range ends {
		v.m.Run("send", v.peer.Key(), "before the event")
		if e.traffic {
			flows = append(flows, startTraffic(v.m, v.peer))
		}
	}
	time.Sleep(2 * sendEvery) // the traffic begins
	for _, v := range ends {
		v.before = v.connections()
		if text := v.m.Run("why", v.peer.Key()) + v.m.Status(); !e.nat && v.names != nil && v.names.MatchString(text) {
			t.Fatalf("%s names a cause before the event:\n%s", v.m.Name, text)
		}
	}

	if e.nat { // the address outside is a new one to begin with
		here.names = regexp.MustCompile(`before: .*` + regexp.QuoteMeta(s.here.Public().String()))
	}
	begin := time.Now()
	e.begin(s)
	over := func() bool { return (here.asleep || here.over()) && there.over() }
	for e.end != nil && (time.Since(begin) < e.holds || e.holds == 0 && !over() && time.Since(begin) < fault) {
		for _, v := range ends {
			if !v.asleep && v.notices == nil { // an address has not changed yet
				v.look(time.Since(begin))
			}
		}
		time.Sleep(lookEvery)
	}
	healing := begin
	if e.end != nil {
		e.end(s)
		healing = time.Now()
	}
	watch := e.end == nil || e.holds != 0
	healed := func() bool { return here.healed != 0 && there.healed != 0 || time.Since(healing) > healLimit }
	for !healed() || watch && !over() && time.Since(begin) < fault {
		for _, v := range ends {
			switch {
			case watch && v.notices != nil:
				v.look(time.Since(healing))
			case watch:
				v.look(time.Since(begin))
			}
			v.send(time.Since(healing))
		}
		time.Sleep(lookEvery)
	}
	var b strings.Builder
	for i, v := range ends {
		messages, connection := "", "another"
		if e.traffic {
			messages = flows[i].result(t).String()
		}
		if v.connections() == v.before {
			connection = "kept"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", e.name, []string{"here", "peer"}[i],
			seconds(v.noticed, v.asleep), seconds(v.named, v.names == nil), seconds(v.healed, false), connection, messages)
		if v.text != "" {
			t.Logf("%s, named after %s s:\n%s", v.m.Name, seconds(v.named, false), v.text)
		}
		if v.healed == 0 {
			t.Errorf("%s: no message got through within %v", v.m.Name, healLimit)
		}
	}
	return b.String()
}

// seconds writes a time of the table; a dash for what did not happen.
func seconds(d time.Duration, none bool) string {
	switch {
	case none:
		return ""
	case d == 0:
		return "–"
	}
	return fmt.Sprintf("%.1f", d.Seconds())
}

// deadFirst is a peer with two addresses, of which nobody answers at the first.
func deadFirst(t *testing.T, fault time.Duration) string {
	s := newScene(t)
	s.here.Node("--listen", bed.Listen)
	dead := "/ip4/11.99.0.10/tcp/18189" // of no network
	begin := time.Now()
	s.there.Node("--listen", bed.Listen, "--peer", s.here.Key()+"::"+dead, "--peer", s.here.Line())
	v := &view{signs: signs{names: regexp.MustCompile(regexp.QuoteMeta(dead) + `.*(no answer|timed out|not answer)`)}, m: s.there, peer: s.here}
	for time.Since(begin) < max(fault, healLimit/2) && (v.healed == 0 || v.named == 0) {
		v.look(time.Since(begin))
		v.send(time.Since(begin))
		time.Sleep(lookEvery)
	}
	t.Logf("named by:\n%s", v.text)
	return fmt.Sprintf("| the first of two addresses is dead | peer | | %s | %s | | |\n", seconds(v.named, false), seconds(v.healed, false))
}

// publicNAT is a node behind a NAT, without a forwarded port, on a public network.
func publicNAT(t *testing.T, fault time.Duration) string {
	s := newScene(t)
	s.here.Router.NAT()
	flags := []string{"node", "--network", "nextnet", "--listen", bed.Listen, "--peer"}
	s.seed.Node("--network", "nextnet", "--listen", bed.Listen)
	s.there.Gamelan(append(flags, s.seed.Line())...)
	begin := time.Now()
	node := s.here.Gamelan(append(flags, s.seed.Line())...)
	ends := []*view{{m: s.here, peer: s.there}, {m: s.there, peer: s.here}}
	for time.Since(begin) < max(fault, healLimit/2) && !node.Ended() && (ends[0].healed == 0 || ends[1].healed == 0) {
		if s.here.Get("/v1/node", new(any)) == nil && s.there.Get("/v1/node", new(any)) == nil {
			for _, v := range ends {
				v.send(time.Since(begin))
			}
		}
		time.Sleep(lookEvery)
	}
	what := ""
	if node.Ended() {
		what = "the node does not start"
		t.Logf("%s", node.Errs())
	}
	return fmt.Sprintf("| behind NAT on a public network | here | | | %s | | %s |\n| behind NAT on a public network | peer | | | %s | | |\n",
		seconds(ends[0].healed, false), what, seconds(ends[1].healed, false))
}

// row is a row of the table, or one for each end.
type row struct {
	name    string
	short   bool
	measure func(t *testing.T, fault time.Duration) string
}

const tableHead = `
| event | end | noticed | named | healed | connection | messages with ` + "`send --retry`" + ` |
|---|---|---|---|---|---|---|
`

// TestTable measures.
func TestTable(t *testing.T) {
	rows := []row{
		{"dead first address", true, deadFirst},
		{"NAT on a public network", true, publicNAT},
	}
	for i := range losses {
		rows = append(rows, row{losses[i].name, losses[i].short != 0, losses[i].rows})
	}
	for i := range events {
		rows = append(rows, row{events[i].name, events[i].short, events[i].rows})
	}
	page, fault := os.Getenv("GAMELAN_MACHINES_TABLE"), shortFault
	if page != "" {
		fault = longFault
	}
	lines := make([]string, len(rows))
	t.Run("rows", func(t *testing.T) {
		for i, r := range rows {
			if page != "" || r.short {
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					lines[i] = r.measure(t, fault)
				})
			}
		}
	})
	table := tableHead + strings.Join(lines, "")
	t.Log(table)
	if page == "" || t.Failed() {
		return
	}
	if err := keep(page, table); err != nil {
		t.Error(err)
	}
}

// keep writes a table into a page, as that of the present commit, before older ones.
func keep(page, table string) error {
	commit, err := exec.Command("git", "log", "-1", "--format=%h").Output()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	const mark = "<!-- Tables follow; make machines adds that of the present commit. -->\n"
	head, older, _ := strings.Cut(string(text), mark)
	title := "\n## At " + strings.TrimSpace(string(commit)) + "\n"
	var kept strings.Builder
	for section := range strings.SplitSeq(older, "\n## ") {
		if section != "" && !strings.HasPrefix("\n## "+section, title) {
			kept.WriteString("\n## " + section)
		}
	}
	return os.WriteFile(page, []byte(head+mark+title+table+kept.String()), 0o644)
}
