package machines

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/tests/machines/internal/bed"
)

// The fault table: each fault is there for real, and the command that a person types first must name the cause and the next step.
// The seconds are a figure; only faultLimit fails a row.

const (
	faultLimit = 90 * time.Second
	askEvery   = 250 * time.Millisecond
	outcomeOf  = "hello" // a message
)

// faults is the table.
type faults struct {
	mu   sync.Mutex
	rows []faultRow
}

type faultRow struct {
	number      int
	fault, line string
	cause, step bool
	took        time.Duration // until the cause was named
}

// told is what a command must say of a fault: regular expressions for the words on one line.
type told struct {
	number      int // of the fault
	fault       string
	since       time.Time // when it began; zero: with the command
	cause, step string
	never       string // what it must not say
}

// ask runs a command until it says what it must, and again while it does not.
func (f *faults) ask(t *testing.T, w told, m *bed.Machine, args ...string) {
	t.Helper()
	f.watch(t, w, "gamelan "+strings.Join(args, " "), func() *bed.Process { return m.Gamelan(args...) })
}

func (f *faults) watch(t *testing.T, w told, line string, start func() *bed.Process) {
	t.Helper()
	cause, step := regexp.MustCompile(w.cause), regexp.MustCompile(w.step)
	begin := w.since
	if begin.IsZero() {
		begin = time.Now()
	}
	r := faultRow{number: w.number, fault: w.fault, line: shortLine(line)}
	text := ""
	for asked := time.Now(); time.Since(asked) < faultLimit && !(r.cause && r.step); {
		p := start()
		for {
			ended := p.Ended()
			text = cmp.Or(strings.Join(strings.Fields(p.Out()+" "+p.Errs()), " "), text)
			if !r.cause && cause.MatchString(text) {
				r.cause, r.took = true, time.Since(begin)
			}
			r.step = step.MatchString(text)
			if ended || r.cause && r.step || time.Since(asked) > faultLimit {
				break
			}
			time.Sleep(lookEvery / 5)
		}
		p.End()
		if !(r.cause && r.step) {
			time.Sleep(askEvery)
		}
	}
	if !r.cause || !r.step {
		t.Errorf("%d %s: %s: cause %v, step %v; got\n%s\nwant %s, and %s", w.number, w.fault, line, r.cause, r.step, text, w.cause, w.step)
	}
	if w.never != "" && regexp.MustCompile(w.never).MatchString(text) {
		t.Errorf("%d %s: %s: got\n%s\nwant nothing of %s", w.number, w.fault, line, text, w.never)
		r.step = false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = append(f.rows, r)
	t.Logf("%d %s: %s (%.1f s)\n%s", w.number, w.fault, line, r.took.Seconds(), text)
}

// doctor runs gamelan doctor until it names a code: as the cause, or beside it where it is only a warning.
func (f *faults) doctor(t *testing.T, w told, code string, m *bed.Machine, args ...string) {
	t.Helper()
	var answer struct {
		Diagnosis struct {
			OK    bool
			Cause *struct{ Code, Step string }
			Also  []struct{ Code, Step string }
		}
	}
	args = append([]string{"doctor", "--json"}, args...)
	begin := w.since
	if begin.IsZero() {
		begin = time.Now()
	}
	r := faultRow{number: w.number, fault: w.fault, line: shortLine("gamelan " + strings.Join(slices.Delete(slices.Clone(args), 1, 2), " "))}
	var p *bed.Process
	for asked := time.Now(); time.Since(asked) < faultLimit && !r.cause; {
		p = m.Try(args...)
		answer.Diagnosis.Cause, answer.Diagnosis.Also = nil, nil
		if err := json.Unmarshal([]byte(p.Out()), &answer); err != nil {
			time.Sleep(askEvery)
			continue
		}
		d := &answer.Diagnosis
		if d.Cause != nil && d.Cause.Code == code && !d.OK && p.Code() == 1 {
			r.cause, r.step = true, d.Cause.Step != ""
		}
		for _, n := range d.Also {
			if d.Cause == nil && n.Code == code && d.OK && p.Code() == 0 {
				r.cause, r.step = true, n.Step != ""
			}
		}
		if r.took = time.Since(begin); !r.cause {
			time.Sleep(askEvery)
		}
	}
	if !r.cause || !r.step {
		t.Errorf("%d %s: doctor: want the code %s and a step, got\n%s%s", w.number, w.fault, code, p.Out(), p.Errs())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = append(f.rows, r)
}

// shortLine returns a command line without the digits of keys.
func shortLine(line string) string {
	line = regexp.MustCompile(`[0-9a-f]{60,}`).ReplaceAllString(line, "KEY")
	if first, _, more := strings.Cut(line, "\n"); more {
		line = first + " …"
	}
	return line
}

func (f *faults) String() string {
	slices.SortStableFunc(f.rows, func(a, b faultRow) int { return cmp.Compare(a.number, b.number) })
	mark := map[bool]string{true: "✔", false: "✘"}
	var b strings.Builder
	b.WriteString("\n| # | fault | command | cause | step | s |\n|--:|---|---|---|---|--:|\n")
	for _, r := range f.rows {
		fmt.Fprintf(&b, "| %d | %s | `%s` | %s | %s | %.1f |\n", r.number, r.fault, r.line, mark[r.cause], mark[r.step], r.took.Seconds())
	}
	return b.String()
}

// TestFaults induces each fault of the table. GAMELAN_FAULT_TABLE names a file for the table.
func TestFaults(t *testing.T) {
	f := new(faults)
	t.Run("rows", func(t *testing.T) {
		for _, group := range []struct {
			name string
			run  func(*testing.T, *faults)
		}{
			{"identity", identityFaults}, // the longest begin first
			{"clock", clockFault},
			{"dead", deadIdentities},
			{"drop", dropFaults},
			{"disk", diskFaults},
			{"seeds", seedFaults},
			{"names", nameFaults},
			{"peers", peerFaults},
			{"networks", networkFaults},
			{"busy", busyFault},
			{"proxy", proxyFault},
			{"settings", settingFaults},
		} {
			t.Run(group.name, func(t *testing.T) {
				t.Parallel()
				group.run(t, f)
			})
		}
	})
	t.Log(f)
	if page := os.Getenv("GAMELAN_FAULT_TABLE"); page != "" {
		if err := os.WriteFile(page, []byte(f.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// own returns a bed of its own with machines of these names.
func own(t *testing.T, names ...string) (*bed.Bed, []*bed.Machine) {
	t.Helper()
	net, err := bed.Start(names...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := net.Close(); err != nil {
			t.Error(err)
		}
	})
	net.Use(t)
	var all []*bed.Machine
	for _, name := range names {
		all = append(all, net.Machine(name))
	}
	all[0].Run("version") // it is built before the time counts
	return net, all
}

// at returns KEY::ADDRESS with the key of one machine's node and the address of another machine.
func at(key, where *bed.Machine, port int) string {
	return fmt.Sprintf("%s::/ip4/%s/tcp/%d", key.Key(), where.Addr(), port)
}

const localnet = "localnet"

// peerFaults are those of two nodes that do not know each other.
func peerFaults(t *testing.T, f *faults) {
	net, m := own(t, "A", "B", "C")
	a, b, c := m[0], m[1], m[2]
	for _, x := range m {
		x.Node("--network", localnet, "--listen", bed.Listen)
	}
	compare := `compare KEY::ADDRESS with what "gamelan id --address" prints`
	f.ask(t, told{number: 2, fault: "peer on the wrong port", cause: `connection refused`, step: compare}, a, "send", at(b, b, 18190), outcomeOf)
	f.ask(t, told{number: 2, fault: "peer on the wrong port", cause: `connection refused`, step: compare}, a, "ping", "-c", "1", at(b, b, 18190))
	f.doctor(t, told{number: 2, fault: "peer on the wrong port"}, "dial_refused", a, at(b, b, 18190))
	f.doctor(t, told{number: 3, fault: "wrong key"}, "dial_other_key", a, at(c, b, bed.Port))
	f.ask(t, told{number: 3, fault: "wrong key", cause: `another (node answers|key)`, step: compare}, a, "send", at(c, b, bed.Port), outcomeOf)
	wrong := []byte(b.Key())
	digits := "0123456789abcdef"
	wrong[1] = digits[strings.IndexByte(digits, wrong[1])|1] // no key is odd there
	f.ask(t, told{number: 4, fault: "one digit of a key wrong", cause: `is no public key`, step: `at least one digit is wrong; copy it again`}, a, "send", string(wrong), outcomeOf)
	f.ask(t, told{number: 5, fault: "host:port in place of a multiaddr", cause: `is an address without the key`, step: `write KEY::/ip4/11\.2\.0\.10/tcp/18189`}, a, "send", "11.2.0.10:18189", outcomeOf)
	f.ask(t, told{number: 5, fault: "host:port in place of a multiaddr", cause: `is no address`, step: `write it as /ip4/11\.2\.0\.10/tcp/18189`}, a, "send", b.Key()+"::11.2.0.10:18189", outcomeOf)

	net.Reject(a, b, "with icmp admin-prohibited")
	f.ask(t, told{number: 8, fault: "firewall REJECT, admin-prohibited", cause: `a firewall at [0-9.]+ refuses it`, step: `open the port of this address in that firewall`, never: "compare KEY"}, a, "send", b.Line(), outcomeOf)
	f.ask(t, told{number: 8, fault: "firewall REJECT, admin-prohibited", cause: `a firewall at [0-9.]+ refuses it`, step: `open the port`, never: "compare KEY"}, a, "status")
	f.doctor(t, told{number: 8, fault: "firewall REJECT, admin-prohibited"}, "dial_prohibited", a, b.Line())
	b.Router.ClearRules()
	net.Reject(a, b, "with tcp reset")
	f.doctor(t, told{number: 9, fault: "firewall REJECT, tcp reset"}, "dial_refused", a, b.Line())
	f.ask(t, told{number: 9, fault: "firewall REJECT, tcp reset", cause: `connection refused`, step: `is running and listens on this address, and that no firewall refuses it`}, a, "send", b.Line(), outcomeOf)
	b.Router.ClearRules()

	a.Run("send", b.Line(), outcomeOf)
	b.Run("ban", a.Key(), "--for", "1h")
	f.ask(t, told{number: 14, fault: "banned by the other", cause: `may have banned this node`, step: `"gamelan unban"`, never: "compare KEY"}, a, "send", b.Line(), outcomeOf)
	f.doctor(t, told{number: 14, fault: "banned by the other"}, "dial_turned_away", a, b.Line())
	b.Run("unban", a.Key())
	a.Run("send", b.Line(), outcomeOf)
	a.Run("ban", b.Key(), "--for", "1h")
	f.ask(t, told{number: 15, fault: "banned by us", cause: `banned`, step: `gamelan unban`}, a, "why", b.Key())
	f.ask(t, told{number: 15, fault: "banned by us", cause: `banned`, step: `gamelan (unban|why)`}, a, "send", b.Key(), outcomeOf)
	f.doctor(t, told{number: 15, fault: "banned by us"}, "dial_banned", a, b.Key())
	a.Run("unban", b.Key())
	a.Run("send", b.Key(), outcomeOf)
}

// dropFaults: a firewall answers nothing.
func dropFaults(t *testing.T, f *faults) {
	net, m := own(t, "A", "B")
	a, b := m[0], m[1]
	b.Node("--network", localnet, "--listen", bed.Listen)
	net.Drop(a, b)
	a.Node("--network", localnet, "--listen", bed.Listen, "--peer", b.Line())
	since := time.Now()
	const cause, step = `(no answer from|no answer in time|without an answer so far)`, `firewall (drops it|is in between)`
	f.ask(t, told{number: 6, fault: "firewall DROP", since: since, cause: cause, step: step}, a, "status")
	f.doctor(t, told{number: 6, fault: "firewall DROP"}, "dial_no_answer", a)
	f.doctor(t, told{number: 7, fault: "firewall DROP"}, "dial_no_answer", a, b.Line())
	f.ask(t, told{number: 7, fault: "firewall DROP", cause: cause, step: step, never: "compare KEY"}, a, "send", b.Line(), outcomeOf)
}

// seedFaults are those of seeds.
func seedFaults(t *testing.T, f *faults) {
	_, m := own(t, "A", "B", "C")
	a, b, c := m[0], m[1], m[2]
	node := a.Node("--network", localnet, "--listen", bed.Listen)
	b.Node("--network", localnet, "--listen", bed.Listen, "--peer", at(a, a, 18190))
	since := time.Now()
	const refuses = `11\.1\.0\.10.{0,80}(connection refused|refuses connections)|(connection refused|refuses connections).{0,80}11\.1\.0\.10`
	const step = `check that (the peer is running and listens on this address|a seed runs)|network status shows why`
	f.ask(t, told{number: 1, fault: "seed on the wrong port", since: since, cause: refuses, step: step}, b, "status")
	f.ask(t, told{number: 1, fault: "seed on the wrong port", since: since, cause: `connection refused`, step: `check that a seed runs and can be reached`}, b, "network", "status")
	f.doctor(t, told{number: 1, fault: "seed on the wrong port"}, "dial_refused", b)
	c.Node("--network", localnet, "--listen", bed.Listen, "--peer", a.Line())
	c.Run("send", a.Key(), outcomeOf)
	node.Signal(syscall.SIGKILL)
	f.doctor(t, told{number: 24, fault: "seed down", since: time.Now()}, "dial_refused", c)
	f.ask(t, told{number: 24, fault: "seed down", since: time.Now(), cause: refuses + `|ended by (the )?(peer|network)`, step: step}, c, "status")
}

// nameFaults are those of the name server.
func nameFaults(t *testing.T, f *faults) {
	net, m := own(t, "A", "B", "C")
	a, b, c := m[0], m[1], m[2]
	a.Node("--network", nextnet, "--listen", bed.Listen)
	named := a.Key() + "::/dns4/seed.example/tcp/" + strconv.Itoa(bed.Port)
	const fault = "DNS name of the seeds wrong"
	const step, never = `check (discovery\.seed_names and the name server|the name and this machine's name server)`, `add a seed|give it a seed|give this one a seed`
	b.Node("--network", nextnet, "--listen", bed.Listen, "--seed-name", "seeds.example", "--health-offline-after", "5s")
	since := time.Now()
	for _, command := range [][]string{{"status"}, {"health"}, {"network", "status"}} {
		w := told{number: 25, fault: fault, since: since, cause: `seeds\.example.{0,40}(is not resolved|no such host)|look-up failed.{0,80}no such host`, step: step, never: never}
		f.ask(t, w, b, command...)
	}
	f.doctor(t, told{number: 25, fault: fault, since: since}, "seed_names", b)
	c.Node("--network", nextnet, "--listen", bed.Listen, "--peer", named, "--health-offline-after", "5s")
	since = time.Now()
	f.doctor(t, told{number: 25, fault: "DNS name of a seed wrong", since: since}, "dial_unresolved", c)
	for _, command := range [][]string{{"status"}, {"health"}, {"why", a.Key()}} {
		f.ask(t, told{number: 25, fault: "DNS name of a seed wrong", since: since, cause: `name (is )?not resolved`, step: step, never: never}, c, command...)
	}
	net.DNS.Set(map[string][]string{"seed.example": {a.Addr().String()}})
	took := net.Within(faultLimit, "C finds the seed", func() bool { return c.Connected(a) })
	t.Logf("found %.1f s after the name is right", took.Seconds())
}

// networkFaults are those of nodes of different networks, and of private addresses.
func networkFaults(t *testing.T, f *faults) {
	net, m := own(t, "A", "B", "C")
	a, b, c := m[0], m[1], m[2]
	a.Node("--network", localnet, "--listen", bed.Listen)
	b.Node("--network", nextnet, "--listen", bed.Listen)
	w := told{number: 10, fault: "wrong network", cause: `is of another network \(this node: localnet`, step: `the status and the log of the other node say which it is`, never: "compare KEY"}
	f.ask(t, w, a, "send", b.Line(), outcomeOf)
	f.ask(t, w, a, "status")
	f.doctor(t, told{number: 10, fault: "wrong network"}, "dial_hung_up", a, b.Line())
	w.cause, w.step = `refused because (it was|they were) of another network`, `.`
	f.ask(t, w, b, "status")

	w.cause, w.step = `refused +\d+ connections? by this node: of another network`, `give both nodes the same network`
	f.ask(t, w, b, "why", a.Addr().String())

	c.Router.NAT()
	node := c.Node("--network", nextnet, "--listen", bed.Listen)
	f.ask(t, told{number: 12, fault: "public network, private addresses only", cause: `is an address of a private network`, step: `forward a port of the router to it, and set the router's address as node\.public_addresses`}, c, "status")
	f.doctor(t, told{number: 12, fault: "public network, private addresses only"}, "private_only", c)
	node.End() // and the advice works
	c.Router.Forward(bed.Port)
	c.Node("--network", nextnet, "--listen", bed.Listen, "--public-address", fmt.Sprintf("/ip4/%s/tcp/%d", c.Public(), bed.Port))
	net.Within(connecting, "B reaches C", func() bool { return b.Try("send", c.Line(), outcomeOf).Code() == 0 })
	if s := c.Status(); strings.Contains(s, "private network") {
		t.Errorf("got the status\n%s", s)
	}
}

// busyFault: a node that has its greatest number of connections.
func busyFault(t *testing.T, f *faults) {
	net, m := own(t, "A", "B", "C")
	a, b, c := m[0], m[1], m[2]
	net.Reject(a, b, "with tcp reset") // A hears of B from C, and would connect to it by itself
	c.Node("--network", localnet, "--listen", bed.Listen)
	a.Node("--network", localnet, "--listen", bed.Listen, "--peer", c.Line(), "--connections-max-inbound-per-source", "1", "--connections-max-inbound-per-subnet", "1")
	net.Within(connecting, "A is connected", func() bool { return a.Connected(c) })
	first := b.Gamelan("node", "--data-dir", "first", "--network", localnet, "--listen", "/ip4/0.0.0.0/tcp/18190")
	net.Within(connecting, "the first node runs", func() bool { return strings.Contains(first.Out(), "\nRunning.") })
	if p := b.Try("send", "--data-dir", "first", a.Line(), outcomeOf); p.Code() != 0 {
		t.Fatalf("got %s%s", p.Out(), p.Errs())
	}
	b.Node("--network", localnet, "--listen", bed.Listen, "--peer", c.Line())
	net.Within(connecting, "B is connected", func() bool { return b.Connected(c) })
	const cause, step = `it is busy, has its greatest number of connections`, `the status and the log of the other node say which it is`
	f.ask(t, told{number: 11, fault: "the node refuses set-ups", cause: cause, step: step, never: `give both nodes the same network|compare KEY`}, b, "send", a.Line(), outcomeOf)
	f.doctor(t, told{number: 11, fault: "the node refuses set-ups"}, "dial_hung_up", b, a.Line())
	f.ask(t, told{number: 11, fault: "the node refuses set-ups", cause: `\d refused \(.{0,40}max_inbound_per_source\).*max_inbound_per_source is 1`, step: `raise it`}, a, "status")
	if _, ok := notice(a, "source_limited"); !ok {
		t.Error("got no notice source_limited")
	}
}

// proxyFault: the proxy is down.
func proxyFault(t *testing.T, f *faults) {
	_, m := own(t, "A", "B")
	a, b := m[0], m[1]
	b.Node("--network", localnet, "--listen", bed.Listen)
	a.Node("--network", localnet, "--transport", "socks", "--proxy-address", "/ip4/127.0.0.1/tcp/9050")
	w := told{number: 26, fault: "SOCKS proxy down", cause: `proxy.{0,60}(refused|does not work)`, step: `start the proxy`, never: "compare KEY"}
	f.ask(t, w, a, "send", b.Line(), outcomeOf)
	f.ask(t, w, a, "status")
	f.doctor(t, told{number: 26, fault: "SOCKS proxy down"}, "dial_proxy", a, b.Line())
	a.Run("peers", "add", b.Line())
	a.Try("dial", b.Key())
	f.ask(t, w, a, "why", b.Key())
}

// clockFault: a clock that is wrong by an hour.
func clockFault(t *testing.T, f *faults) {
	_, m := own(t, "A", "B", "C", "D")
	var args []string
	for _, x := range m[1:] {
		x.Node(append([]string{"--network", nextnet, "--listen", bed.Listen}, args...)...)
		args = append(args, "--peer", x.Line())
	}
	m[0].SetClock(time.Hour)
	m[0].Node(append([]string{"--network", nextnet, "--listen", bed.Listen}, args...)...)
	f.ask(t, told{number: 13, fault: "clock +1 h", since: time.Now(), cause: `the clock of this machine is (1 h|59 min) ahead`, step: `set the clock of this machine, and keep it set with NTP`}, m[0], "status")
	f.doctor(t, told{number: 13, fault: "clock +1 h"}, "clock_off", m[0])
}

// identityFaults: one identity on two machines.
func identityFaults(t *testing.T, f *faults) {
	net, m := own(t, "A", "B", "D")
	a, b, d := m[0], m[1], m[2]
	b.Node("--network", nextnet, "--listen", bed.Listen)
	a.Node("--network", nextnet, "--listen", bed.Listen, "--peer", b.Line())
	net.Within(connecting, "A is connected", func() bool { return a.Connected(b) })
	d.TakeIdentity(a)
	time.Sleep(20 * time.Second) // what was set up just after a start may be of the program before it
	d.Node("--network", nextnet, "--listen", bed.Listen, "--peer", b.Line())
	since := time.Now()
	f.ask(t, told{number: 22, fault: "one identity on two machines: their peers", since: since, cause: `two nodes may use the identity of`, step: `give each node a data directory of its own`}, b, "status")
	for _, x := range []*bed.Machine{a, d} {
		f.ask(t, told{number: 23, fault: "one identity on two machines: themselves", since: since, cause: `another node uses the identity of this one`, step: `stop one of them, and give it a data directory of its own`}, x, "status")
	}
	f.doctor(t, told{number: 23, fault: "one identity on two machines: themselves"}, "own_identity", a)
}

// diskFaults: the disk of a node fills up while messages come.
func diskFaults(t *testing.T, f *faults) {
	net, m := own(t, "A", "B")
	a, b := m[0], m[1]
	a.DataDisk(48 << 20)
	a.Node("--network", localnet, "--listen", bed.Listen, "--health-disk-free", "4MiB")
	b.Node("--network", localnet, "--listen", bed.Listen, "--peer", a.Line())
	b.Run("send", a.Key(), outcomeOf)
	a.FillDataDisk()
	since := time.Now()
	more := b.Shell("i=0; while [ ! -e stop ]; do i=$((i+1)); head -c 900000 /dev/zero | base64 -w0 | gamelan send --timeout 8s --whole " + a.Key() + "; done")
	cause, step := `the disk of \S+gamelan is (nearly )?full: \S+ \S+ (are|is) free, and the node needs 4\S* \S+`, `make room on the disk`
	f.ask(t, told{number: 16, fault: "disk full", since: since, cause: cause, step: step}, a, "health")
	f.ask(t, told{number: 16, fault: "disk full", since: since, cause: cause, step: step}, a, "status")
	f.doctor(t, told{number: 16, fault: "disk full"}, "disk_full", a)
	f.ask(t, told{number: 17, fault: "disk full: the sender", cause: `(inbox|disk)`, step: `.`}, b, "send", "--timeout", "8s", a.Key(), outcomeOf)
	b.Start(nil, "touch", "stop").Code()
	more.Code()
	f.ask(t, told{number: 18, fault: "disk full: listen", cause: `disk|no space left`, step: `make room|gamelan status`}, a, "listen", "--raw", "--count", "1")
	a.EmptyDataDisk()
	took := net.Within(faultLimit, "A is ok again", func() bool { return strings.HasPrefix(a.Try("health").Out(), "ok:") })
	t.Logf("ok %.1f s after there was room", took.Seconds())
}

// settingFaults are those of one machine's files and settings.
func settingFaults(t *testing.T, f *faults) {
	_, m := own(t, "W")
	w := m[0]
	shell := func(x told, line, script string) {
		t.Helper()
		f.watch(t, x, line, func() *bed.Process { return w.Shell(script + "\n" + "exec " + line) })
	}
	const disk = "mkdir -p small && mount -t tmpfs -o size=400k small small && head -c 1M /dev/zero > small/much; "
	shell(told{number: 19, fault: "start on a full disk", cause: `no space left`, step: `free space|make room`}, "gamelan node --data-dir small/d", disk)
	shell(told{number: 20, fault: "data dir read-only", cause: `read-only`, step: `--data-dir|choose another|mount`}, "gamelan node --data-dir ro/d", "mkdir -p ro && mount -t tmpfs none ro && mkdir -p ro/d && mount -o remount,ro ro")
	shell(told{number: 20, fault: "data dir mode 777", cause: `777|other (users|accounts)|others`, step: `chmod`}, "gamelan node --data-dir open", "mkdir -p open && chmod 777 open")
	shell(told{number: 20, fault: "data dir of another user", cause: `(user|owner|belongs)`, step: `chown|choose another|as its owner|run gamelan as`}, "gamelan node --data-dir theirs", "mkdir -p theirs && chmod 700 theirs && chown 1234 theirs")
	w.Node("--listen", bed.Listen)
	f.ask(t, told{number: 21, fault: "two nodes in one directory", cause: `(already runs|is running|in use)`, step: `stop|--data-dir`}, w, "node", "--listen", bed.Listen)
	f.ask(t, told{number: 21, fault: "port taken", cause: `address already in use`, step: `stop the program that uses this port, or choose another`}, w, "node", "--data-dir", "second", "--listen", bed.Listen)
	f.ask(t, told{number: 27, fault: "Tor not running", cause: `Tor cannot be reached`, step: `"ControlPort 9051" and "CookieAuthentication 1" into torrc`}, w, "node", "--data-dir", "tor", "--tor")
	file := func(text string) string { return "printf '%s' '" + text + "' > bad.toml" }
	bad := "gamelan config check bad.toml"
	shell(told{number: 28, fault: "TOML: unknown key", cause: `bad\.toml:2: there is no setting "node\.listn"`, step: `did you mean node\.listen`}, bad, file("[node]\nlistn = []\n"))
	shell(told{number: 28, fault: "TOML: no unit", cause: `bad\.toml:2: mux\.write_timeout cannot be 90: `, step: `for example write_timeout = "2m"`}, bad, file("[mux]\nwrite_timeout = 90\n"))
	shell(told{number: 29, fault: "TOML: a list that is not closed", cause: `bad\.toml:3: this is not TOML: `, step: `expected each text and each list closed in the lines before`, never: `expected one of localnet`}, bad, file("[node]\nseeds = [\"a\"\nnetwork = \"localnet\"\n"))
}

// deadIdentities: a seed tells of nodes that are not there any more.
func deadIdentities(t *testing.T, f *faults) {
	net, m := own(t, "A", "B", "C", "D")
	a, b, c, d := m[0], m[1], m[2], m[3]
	const many = 8
	leaving := c.Node("--network", localnet, "--listen", bed.Listen)
	a.Node("--network", localnet, "--listen", bed.Listen, "--peer", c.Line(), "--connections-max-inbound-per-source", "20")
	for i := range many {
		dir, port := "d"+strconv.Itoa(i), strconv.Itoa(18200+i)
		p := d.Gamelan("node", "--data-dir", dir, "--network", localnet, "--listen", "/ip4/0.0.0.0/tcp/"+port, "--peer", a.Line())
		net.Within(connecting, "a node runs", func() bool { return strings.Contains(p.Out(), "\nRunning.") })
	}
	known := func() int {
		var all struct{ Total int }
		if a.Get("/v1/peers?limit=1", &all) != nil {
			return 0
		}
		return all.Total
	}
	net.Within(connecting, "A knows all", func() bool { return known() >= many+1 })
	gone := c.Key() // an absent receiver
	d.Suspend()
	b.Node("--network", localnet, "--listen", bed.Listen, "--peer", a.Line())
	net.Within(connecting, "B is connected", func() bool { return b.Connected(a) })
	begin := time.Now()
	p := b.Try("join")
	t.Logf("join took %.1f s:\n%s%s", time.Since(begin).Seconds(), p.Out(), p.Errs())
	if p.Code() != 0 || strings.Count(p.Out(), "\n") > 3 {
		t.Errorf("got exit code %d and\n%s%s", p.Code(), p.Out(), p.Errs())
	}
	leaving.End()
	c.Suspend()
	begin = time.Now()
	p = b.Try("send", "--store", "--to", gone, outcomeOf)
	t.Logf("send --store took %.1f s:\n%s%s", time.Since(begin).Seconds(), p.Out(), p.Errs())
	if p.Code() != 0 || strings.Count(p.Out(), "\n") > 3 {
		t.Errorf("got exit code %d and\n%s%s", p.Code(), p.Out(), p.Errs())
	}
	f.ask(t, told{number: 30, fault: "found, and not reached", cause: `found at /ip4/11\.(3|4)\.0\.10/tcp/\d+, and not reached`, step: `gamelan why`, never: `^Found|\. Found`}, b, "discover", "--timeout", "3s", gone)
	f.ask(t, told{number: 30, fault: "peer is away", cause: `not connected|no answer|without an answer`, step: `--store`}, b, "send", "--timeout", "10s", gone, outcomeOf)
}
