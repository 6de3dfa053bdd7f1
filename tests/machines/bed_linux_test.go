package machines

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/tests/machines/internal/bed"
	"github.com/gamelan-p2p/gamelan/tests/machines/internal/internet"
)

// The tests of the bed itself: what its verbs say is what happens.

const (
	patience = 20 * time.Second // for what must happen
	refusal  = 2 * time.Second  // for what must not
	echoPort = 7
)

// echo makes the machine send back each line that comes, behind the address it came from.
func echo(m *bed.Machine) {
	l := m.Listen(fmt.Sprintf(":%d", echoPort))
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					fmt.Fprintln(c, c.RemoteAddr(), lines.Text())
				}
			}()
		}
	}()
}

// line is a connection to a machine that echoes.
type line struct {
	net.Conn
	in *bufio.Reader
}

// call connects one machine to another that echoes.
func call(from *bed.Machine, to netip.Addr, limit time.Duration) (*line, error) {
	c, err := from.Dial("tcp", netip.AddrPortFrom(to, echoPort).String(), limit)
	if err != nil {
		return nil, err
	}
	return &line{c, bufio.NewReader(c)}, nil
}

func mustCall(t *testing.T, from *bed.Machine, to netip.Addr) *line {
	t.Helper()
	l, err := call(from, to, patience)
	if err != nil {
		t.Fatalf("%s calls %s: %v", from.Name, to, err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// ask sends a text and returns from which address the other end saw it come.
func (l *line) ask(text string, limit time.Duration) (netip.AddrPort, error) {
	l.SetDeadline(time.Now().Add(limit))
	fmt.Fprintln(l, text)
	for {
		answer, err := l.in.ReadString('\n')
		if err != nil {
			return netip.AddrPort{}, err
		}
		// Answers to what was sent while nothing came back may stand before it.
		if from, said, _ := strings.Cut(strings.TrimSpace(answer), " "); said == text {
			at := netip.MustParseAddrPort(from)
			return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
		}
	}
}

func (l *line) mustAsk(t *testing.T, text string) netip.AddrPort {
	t.Helper()
	from, err := l.ask(text, patience)
	if err != nil {
		t.Fatalf("%q: got no answer: %v", text, err)
	}
	return from
}

// silent expects that nothing comes back.
func (l *line) silent(t *testing.T, text string) {
	t.Helper()
	if _, err := l.ask(text, refusal); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%q: got %v, want silence", text, err)
	}
}

// dead expects that the connection does not go on, with or without a word of the other end.
func (l *line) dead(t *testing.T, text string) {
	t.Helper()
	if from, err := l.ask(text, refusal); err == nil {
		t.Errorf("%q: got an answer to %s, want none", text, from)
	}
}

// isTimeout is what an error of a dial must be where nobody answers.
func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// unanswered expects that nobody answers a call.
func unanswered(t *testing.T, from *bed.Machine, to netip.Addr) {
	t.Helper()
	l, err := call(from, to, refusal)
	if err == nil {
		l.Close()
	}
	if !isTimeout(err) {
		t.Errorf("%s calls %s: got %v, want no answer", from.Name, to, err)
	}
}

// refused expects that a call fails in this way.
func refused(t *testing.T, from *bed.Machine, to netip.Addr, want error) {
	t.Helper()
	l, err := call(from, to, refusal)
	if err == nil {
		l.Close()
	}
	if !errors.Is(err, want) {
		t.Errorf("%s calls %s: got %v, want %v", from.Name, to, err, want)
	}
}

func TestRouting(t *testing.T) {
	net := fresh(t)
	var all []*bed.Machine
	for _, name := range []string{"A", "B", "C", "D"} {
		all = append(all, net.Machine(name))
	}
	for _, to := range all {
		echo(to)
		to6 := to.IPv6()
		for _, from := range all {
			if got := mustCall(t, from, to.Addr()).mustAsk(t, "hello"); got.Addr() != from.Addr() && from != to {
				t.Errorf("%s to %s: got a call from %s, want %s", from.Name, to.Name, got, from.Addr())
			}
			if from != to {
				from.IPv6()
				mustCall(t, from, to6).mustAsk(t, "hello")
			}
		}
	}
}

func TestCable(t *testing.T) {
	net := fresh(t)
	a, b := net.Machine("A"), net.Machine("B")
	carrier := func() string {
		p := b.Start(nil, "cat", "/sys/class/net/eth0/carrier")
		p.Code()
		return strings.TrimSpace(p.Out())
	}
	echo(b)
	l := mustCall(t, a, b.Addr())
	l.mustAsk(t, "before")
	for _, fault := range []struct {
		name         string
		begin, end   func()
		carrierAfter string
	}{
		{"cable", b.Cut, b.Mend, "0"},
		{"link", b.LinkDown, b.LinkUp, ""}, // the system does not tell of a link that is down
	} {
		fault.begin()
		if got := carrier(); got != fault.carrierAfter {
			t.Errorf("%s: got carrier %q, want %q", fault.name, got, fault.carrierAfter)
		}
		l.silent(t, fault.name+" down")
		fault.end()
		l.mustAsk(t, fault.name+" up")
		if got := carrier(); got != "1" {
			t.Errorf("%s up: got carrier %q, want 1", fault.name, got)
		}
	}
}

func TestFirewalls(t *testing.T) {
	net := fresh(t)
	a, b, c := net.Machine("A"), net.Machine("B"), net.Machine("C")
	echo(a)
	echo(b)
	l := mustCall(t, a, b.Addr())
	net.Drop(a, b)
	l.silent(t, "dropped")
	unanswered(t, b, a.Addr())
	mustCall(t, c, b.Addr()).mustAsk(t, "not dropped")
	mustCall(t, c, a.Addr()).mustAsk(t, "not dropped")
	a.Router.ClearRules()
	l.mustAsk(t, "again")

	net.Reject(a, b, "with tcp reset")
	refused(t, a, b.Addr(), syscall.ECONNREFUSED)
	b.Router.ClearRules()
	net.Reject(a, b, "with icmp admin-prohibited")
	refused(t, a, b.Addr(), syscall.EHOSTUNREACH)
	mustCall(t, b, a.Addr()).mustAsk(t, "answers pass")
	mustCall(t, c, b.Addr()).mustAsk(t, "not rejected")
}

func TestNAT(t *testing.T) {
	net := fresh(t)
	a, b, c := net.Machine("A"), net.Machine("B"), net.Machine("C")
	for _, m := range []*bed.Machine{a, b, c} {
		echo(m)
	}
	private := func() {
		t.Helper()
		if !a.Addr().IsPrivate() || a.Public() == a.Addr() {
			t.Errorf("got %s, seen as %s, want a private address", a.Addr(), a.Public())
		}
	}
	a.Router.NAT()
	private()
	l := mustCall(t, a, b.Addr())
	if got := l.mustAsk(t, "from inside"); got.Addr() != a.Public() {
		t.Errorf("got a call from %s, want %s", got, a.Public())
	}
	unanswered(t, b, a.Public())
	a.Router.Forward(echoPort)
	if got := mustCall(t, b, a.Public()).mustAsk(t, "forwarded"); got.Addr() != b.Addr() {
		t.Errorf("got a call from %s, want %s", got, b.Addr())
	}

	// The router's own address changes: what goes through it does not survive.
	old := a.Public()
	a.Router.ChangeAddress()
	l.dead(t, "through the old address")
	if got := mustCall(t, a, b.Addr()).mustAsk(t, "again"); got.Addr() != a.Public() || a.Public() == old {
		t.Errorf("got a call from %s, want %s, which is not %s", got, a.Public(), old)
	}
	mustCall(t, b, a.Public()).mustAsk(t, "forwarded from there")

	a.Router.Off()
	a.Router.On()
	mustCall(t, a, b.Addr()).mustAsk(t, "after the reboot")
	mustCall(t, b, a.Public()).mustAsk(t, "forwarded after the reboot")

	// One port inside has one port outside, or one for each destination.
	outer := func() (ports []uint16) {
		for _, to := range []*bed.Machine{b, c} {
			conn, err := a.DialFrom(40000, netip.AddrPortFrom(to.Addr(), echoPort).String(), patience)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			ports = append(ports, (&line{conn, bufio.NewReader(conn)}).mustAsk(t, "port").Port())
		}
		return ports
	}
	if got := outer(); got[0] != got[1] {
		t.Errorf("got the outer ports %v, want one for both destinations", got)
	}
	a.Router.NAT("fully-random")
	if got := outer(); got[0] == got[1] {
		t.Errorf("symmetric: got the outer ports %v, want one for each destination", got)
	}

	a.Router.NoNAT()
	if got := mustCall(t, a, b.Addr()).mustAsk(t, "public"); got.Addr() != a.Addr() || a.Addr() != a.Public() {
		t.Errorf("got a call from %s, want %s", got, a.Addr())
	}
	mustCall(t, b, a.Addr()).mustAsk(t, "reached")
}

func TestReboot(t *testing.T) {
	net := fresh(t)
	a, b := net.Machine("A"), net.Machine("B")
	echo(b)
	l := mustCall(t, a, b.Addr())
	l.mustAsk(t, "before")
	b.Router.Off()
	unanswered(t, a, b.Addr())
	b.Router.On()
	l.mustAsk(t, "after") // no NAT: the connection goes on
	mustCall(t, a, b.Addr()).mustAsk(t, "new")
}

func TestChangedAddress(t *testing.T) {
	net := fresh(t)
	a, b := net.Machine("A"), net.Machine("B")
	echo(b)
	old, l := b.Addr(), mustCall(t, a, b.Addr())
	if b.ChangeAddress() == old {
		t.Errorf("got %s again, want another address", old)
	}
	l.silent(t, "to the old address")
	unanswered(t, a, old)
	mustCall(t, a, b.Addr()).mustAsk(t, "to the new one")
	echo(a)
	if got := mustCall(t, b, a.Addr()).mustAsk(t, "from the new one"); got.Addr() != b.Addr() {
		t.Errorf("got a call from %s, want %s", got, b.Addr())
	}
}

func TestPathsOfTheInternet(t *testing.T) {
	net := fresh(t)
	a, b, c := net.Machine("A"), net.Machine("B"), net.Machine("C")
	echo(b)
	roundTrip := func(from *bed.Machine) time.Duration {
		l := mustCall(t, from, b.Addr())
		begin := time.Now()
		l.mustAsk(t, "how long")
		return time.Since(begin)
	}
	net.Internet.Between("A", "B", internet.Path{Delay: 150 * time.Millisecond, Jitter: 20 * time.Millisecond})
	slow, fast := roundTrip(a), roundTrip(c)
	t.Logf("A and B: %v, C and B: %v", slow, fast)
	if slow < 300*time.Millisecond {
		t.Errorf("got %v there and back, want 300 ms or more", slow)
	}
	if fast >= slow {
		t.Errorf("got %v on another path, want less than %v", fast, slow)
	}

	const many = 1000
	net.Internet.Everywhere(internet.Path{Loss: 0.05})
	got := datagrams(t, a, b, many)
	t.Logf("%d of %d datagrams arrived at a loss of 5 %%", got, many)
	if got < many*80/100 || got > many*98/100 { // a slow reader loses some more
		t.Errorf("got %d of %d datagrams, want 95 %%", got, many)
	}
}

// datagrams sends many packets of UDP, and counts how many arrive.
func datagrams(t *testing.T, from, to *bed.Machine, many int) int {
	t.Helper()
	sink := to.ListenPacket(":9")
	c, err := from.Dial("udp", netip.AddrPortFrom(to.Addr(), 9).String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() { // ends after many writes
		for range many {
			fmt.Fprint(c, "x")
			time.Sleep(100 * time.Microsecond) // the queues of the devices are short
		}
	}()
	got, buf := 0, make([]byte, 10)
	for {
		sink.SetReadDeadline(time.Now().Add(refusal))
		if _, _, err := sink.ReadFrom(buf); err != nil {
			return got
		}
		got++
	}
}

func TestDNS(t *testing.T) {
	net := fresh(t)
	a := net.Machine("A")
	lookUp := func(database, name string) (string, int) {
		p := a.Start(nil, "getent", database, name)
		return strings.TrimSpace(p.Out()), p.Code()
	}
	net.DNS.Set(map[string][]string{"b.example": {"11.2.0.10", "2600:2::10"}, "seeds.example": {"KEY::/ip4/11.2.0.10/tcp/1", "KEY::/ip4/11.3.0.10/tcp/1"}})
	for database, want := range map[string]string{"ahostsv4": "11.2.0.10", "ahostsv6": "2600:2::10"} {
		p := a.Start(nil, "getent", database, "b.example")
		if code := p.Code(); code != 0 || !strings.HasPrefix(p.Out(), want+" ") {
			t.Errorf("%s: got %q, exit code %d, want %s", database, p.Out(), code, want)
		}
	}
	if got, code := lookUp("ahosts", "c.example"); code == 0 {
		t.Errorf("got %q for a name without a record, want none", got)
	}
	list, err := a.LookupTXT("seeds.example")
	slices.Sort(list)
	if want := []string{"KEY::/ip4/11.2.0.10/tcp/1", "KEY::/ip4/11.3.0.10/tcp/1"}; err != nil || !slices.Equal(list, want) {
		t.Errorf("got %q, %v, want %q", list, err, want)
	}
	if log := net.DNS.Log(); !strings.Contains(log, "query[TXT] seeds.example from 11.1.0.10") {
		t.Errorf("got no query in the log:\n%s", log)
	}
	net.DNS.Stop()
	if list, err := a.LookupTXT("seeds.example"); err == nil {
		t.Errorf("got %q from a server that is stopped", list)
	}
}

func TestStoppedMachine(t *testing.T) {
	net := fresh(t)
	a, b := net.Machine("A"), net.Machine("B")
	b.Node("--listen", bed.Listen)
	dial := func() error {
		c, err := a.Dial("tcp", fmt.Sprintf("%s:%d", b.Addr(), bed.Port), refusal)
		if err == nil {
			c.Close()
		}
		return err
	}
	answers := func() bool { return b.Get("/v1/node", new(any)) == nil }
	if err := dial(); err != nil || !answers() {
		t.Fatalf("got %v, want a node that answers", err)
	}
	b.Stop()
	if err := dial(); err != nil {
		t.Errorf("stopped: got %v, want a kernel that answers", err)
	}
	if answers() {
		t.Error("stopped: the node answers")
	}
	b.Continue()
	net.Within(patience, "the node goes on", answers)
	b.Suspend()
	if err := dial(); !isTimeout(err) {
		t.Errorf("suspended: got %v, want no answer", err)
	}
	b.Resume()
	net.Within(patience, "the node goes on", answers)
	if err := dial(); err != nil {
		t.Errorf("resumed: got %v", err)
	}
}

func TestWrongClock(t *testing.T) {
	net := fresh(t)
	a, b := net.Machine("A"), net.Machine("B")
	a.SetClock(-time.Hour)
	for _, m := range []*bed.Machine{a, b} {
		m.Node("--listen", bed.Listen)
	}
	for m, want := range map[*bed.Machine]time.Duration{a: -time.Hour, b: 0} {
		var node struct {
			Begin time.Time `json:"started_at"`
		}
		if err := m.Get("/v1/node", &node); err != nil {
			t.Fatal(err)
		}
		if got := time.Until(node.Begin) - want; got > time.Minute || got < -5*time.Minute {
			t.Errorf("%s: got a start %v from now, want %v", m.Name, time.Until(node.Begin), want)
		}
	}
}

func TestMessagesBetweenMachines(t *testing.T) {
	net := fresh(t)
	a, b := net.Machine("A"), net.Machine("B")
	a.Node("--listen", bed.Listen)
	b.Node("--listen", bed.Listen, "--peer", a.Line())
	net.Within(patience, "they connect", func() bool { return a.Connected(b) && b.Connected(a) })
	for _, way := range [][2]*bed.Machine{{a, b}, {b, a}} {
		heard := way[1].Gamelan("listen", "--count", "1", "--raw")
		way[0].Run("send", way[1].Key(), "hello from "+way[0].Name)
		if code := heard.Code(); code != 0 || !strings.HasPrefix(heard.Out(), "hello from "+way[0].Name) {
			t.Errorf("%s: got %q, exit code %d, want the message", way[1].Name, heard.Out(), code)
		}
	}
	if status := b.Status(); !strings.Contains(status, "online") {
		t.Errorf("got the status\n%s\nwant online", status)
	}
}

// A bed whose process is killed leaves namespaces, programs and files. The next one removes
// them, and leaves those of living processes.
func TestLeftovers(t *testing.T) {
	net := fresh(t)
	child := exec.Command(os.Args[0], "-test.run=^TestBedOfAnother$", "-test.v")
	child.Env = append(os.Environ(), "GAMELAN_MACHINES_LEAVE=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	program := 0
	for lines := bufio.NewScanner(out); program == 0 && lines.Scan(); {
		fmt.Sscanf(lines.Text(), "the program is %d", &program)
	}
	go io.Copy(io.Discard, out)
	mark := fmt.Sprintf("gamelan-machines-%d", child.Process.Pid)
	traces := func() (all []string) {
		for _, dir := range []string{"/run/netns", "/etc/netns", os.TempDir()} {
			some, _ := filepath.Glob(filepath.Join(dir, mark+"*"))
			all = append(all, some...)
		}
		return all
	}
	lives := func() bool { _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(program))); return err == nil }
	if err := bed.Sweep(); err != nil || len(traces()) < 4 || !lives() {
		t.Errorf("got %v, %q, program %d lives: %v, want a bed that its process uses left alone", err, traces(), program, lives())
	}
	child.Process.Kill()
	child.Wait()
	if len(traces()) < 4 {
		t.Errorf("got %q, want what is to be swept", traces())
	}
	if err := bed.Sweep(); err != nil || len(traces()) > 0 {
		t.Errorf("got %v, %q, want nothing left", err, traces())
	}
	net.Within(patience, "the program has ended", func() bool { return !lives() })
}

// TestBedOfAnother is the process that TestLeftovers kills.
func TestBedOfAnother(t *testing.T) {
	if os.Getenv("GAMELAN_MACHINES_LEAVE") == "" {
		return
	}
	p := fresh(t).Machine("A").Start(nil, "sh", "-c", "sleep 600 & echo $!; wait") // of which it is not the parent
	for !strings.Contains(p.Out(), "\n") {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Printf("the program is %s", p.Out())
	select {}
}
