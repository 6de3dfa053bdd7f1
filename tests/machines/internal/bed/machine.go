//go:build linux

package bed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// firstHost is the last number of a machine's first address.
const firstHost = 10

// Machine is a machine with one device, eth0, and at most one node in its default directory.
type Machine struct {
	Name   string
	Router *Router

	bed     *Bed
	space   space
	number  int
	home    string
	addr    netip.Addr
	hosts   int // the last number of addr
	clock   time.Duration
	started []*Process
	key     string
}

func (b *Bed) addMachine(name string, number int) error {
	r := &Router{bed: b, number: number}
	m := &Machine{Name: name, Router: r, bed: b, number: number, home: filepath.Join(b.dir, name)}
	b.machines = append(b.machines, m)
	var err error
	if r.space, err = add(b.name+name+"-router", nil); err != nil {
		return err
	}
	if m.space, err = add(b.name+name, map[string]string{"resolv.conf": "nameserver " + dnsAddr.String() + "\n"}); err != nil {
		return err
	}
	wan, err := r.space.tun("wan")
	if err != nil {
		return err
	}
	b.Internet.Attach(name, wan, networkOf(number), networkOf6(number))
	return errors.Join(
		m.space.ip("link add eth0 type veth peer name lan netns %s", r.space),
		r.plug(), m.reset())
}

// reset ends its programs, removes their files, and makes its network as it was at first.
func (m *Machine) reset() error {
	err := m.space.kill()
	m.started, m.clock, m.key = nil, 0, ""
	return errors.Join(err, os.RemoveAll(m.home), os.MkdirAll(m.home, 0o700),
		m.Router.reset(), m.space.nft("flush ruleset"), m.space.ip("addr flush dev eth0 scope global"), m.setAddress(firstHost))
}

// setAddress replaces the IPv4 address by that of another host number in its net.
func (m *Machine) setAddress(host int) error {
	at := machineAddr
	if m.Router.nat {
		at = privateAddr
	}
	m.hosts, m.addr = host, at(m.number, host)
	return m.space.ip("link set eth0 up\naddr flush dev eth0 to 0/0\naddr add %s/24 dev eth0\nroute replace default via %s", m.addr, at(m.number, 1))
}

// Addr returns the machine's IPv4 address.
func (m *Machine) Addr() netip.Addr { return m.addr }

// Public returns the address at which others see the machine.
func (m *Machine) Public() netip.Addr {
	if m.Router.nat {
		return m.Router.wan
	}
	return m.addr
}

// network returns all addresses behind which the machine can stand.
func (m *Machine) network() netip.Prefix { return networkOf(m.number) }

// ChangeAddress gives the machine another address in its net, takes the old one away, and
// returns the new one.
func (m *Machine) ChangeAddress() netip.Addr {
	m.bed.t.Helper()
	m.bed.must(m.setAddress(m.hosts + 1))
	return m.addr
}

// IPv6 gives the machine a global IPv6 address beside the other one, and returns it.
func (m *Machine) IPv6() netip.Addr {
	m.bed.t.Helper()
	ip := machineAddr6(m.number, firstHost)
	m.bed.must(m.space.ip("addr replace %s/64 dev eth0 nodad\nroute replace ::/0 via %s", ip, machineAddr6(m.number, 1)))
	return ip
}

// Cut pulls the machine's cable: it has no carrier any more. Its address stays.
func (m *Machine) Cut() { m.bed.t.Helper(); m.bed.must(m.Router.space.ip("link set lan down")) }

// Mend puts the cable in again.
func (m *Machine) Mend() { m.bed.t.Helper(); m.bed.must(m.Router.space.ip("link set lan up")) }

// LinkDown takes eth0 down, as an administrator does. Its routes go.
func (m *Machine) LinkDown() { m.bed.t.Helper(); m.bed.must(m.space.ip("link set eth0 down")) }

// LinkUp takes eth0 up again.
func (m *Machine) LinkUp() { m.bed.t.Helper(); m.bed.must(m.setAddress(m.hosts)) }

// Stop stops all programs of the machine. Its kernel goes on: it acknowledges what comes.
func (m *Machine) Stop() {
	m.bed.t.Helper()
	m.bed.must(m.space.stop())
}

// Continue lets stopped programs go on.
func (m *Machine) Continue() { m.space.signal(syscall.SIGCONT) }

// Suspend stops the machine with its kernel: nothing comes and nothing goes.
func (m *Machine) Suspend() {
	m.bed.t.Helper()
	m.Stop()
	m.bed.must(m.space.nft("table inet asleep {\nchain in {\ntype filter hook input priority 0; policy drop;\n}\nchain out {\ntype filter hook output priority 0; policy drop;\n}\n}"))
}

// Resume wakes a suspended machine.
func (m *Machine) Resume() {
	m.bed.t.Helper()
	m.bed.must(m.space.nft("flush ruleset"))
	m.Continue()
}

// SetClock sets the wall clock of nodes that are started from now on. Other programs keep the
// right time.
func (m *Machine) SetClock(ahead time.Duration) { m.clock = ahead }

// Dial connects to an address, as a program on the machine does. The name server is not asked.
func (m *Machine) Dial(network, address string, limit time.Duration) (net.Conn, error) {
	return m.dial(net.Dialer{Timeout: limit}, network, address)
}

// DialFrom is Dial over TCP from a port of the machine, from which several connections may go.
func (m *Machine) DialFrom(port int, address string, limit time.Duration) (net.Conn, error) {
	return m.dial(net.Dialer{Timeout: limit, LocalAddr: &net.TCPAddr{Port: port}, Control: shared}, "tcp", address)
}

func (m *Machine) dial(d net.Dialer, network, address string) (c net.Conn, err error) {
	err = m.space.do(func() error {
		c, err = d.Dial(network, address)
		return err
	})
	return c, err
}

// shared lets other sockets have the port, too.
func shared(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) // else the dial fails
	})
}

// Listen opens a listener of TCP on the machine, which ends with the test.
func (m *Machine) Listen(address string) net.Listener {
	m.bed.t.Helper()
	var l net.Listener
	m.bed.must(m.space.do(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	}))
	m.bed.t.Cleanup(func() { l.Close() })
	return l
}

// ListenPacket opens a socket of UDP on the machine, which ends with the test.
func (m *Machine) ListenPacket(address string) net.PacketConn {
	m.bed.t.Helper()
	var c net.PacketConn
	m.bed.must(m.space.do(func() (err error) {
		c, err = net.ListenPacket("udp", address)
		return err
	}))
	m.bed.t.Cleanup(func() { c.Close() })
	return c
}

// LookupTXT asks the name server from the machine.
func (m *Machine) LookupTXT(name string) ([]string, error) {
	r := net.Resolver{PreferGo: true, Dial: func(_ context.Context, network, _ string) (net.Conn, error) {
		return m.Dial(network, netip.AddrPortFrom(dnsAddr, 53).String(), getLimit)
	}}
	return r.LookupTXT(context.Background(), name)
}

// Process is a program on a machine.
type Process struct {
	machine *Machine
	cmd     *exec.Cmd
	line    string
	out     output
	errs    output
	done    chan struct{} // it has ended
}

// output is what a program wrote.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// build makes the program gamelan for the machine, unless it is there.
func (m *Machine) build() {
	m.bed.t.Helper()
	find := program
	if m.clock != 0 {
		find = wrongClockProgram
	}
	m.bed.must(find())
}

// environment is that of programs on the machine: a folder of its own, and gamelan on the path.
func (m *Machine) environment() []string {
	path := os.Getenv("PATH")
	if m.clock != 0 {
		path = binFolder(wrongClock) + ":" + path
	} else {
		path = binFolder("") + ":" + path
	}
	return []string{"HOME=" + m.home, "PATH=" + path, "GAMELAN_CONFIG=" + os.DevNull, "GAMELAN_WAIT=20s", "WRONG_CLOCK=" + m.clock.String()}
}

// Start starts a program on the machine. It reads stdin, if there is one.
func (m *Machine) Start(stdin io.Reader, args ...string) *Process {
	m.bed.t.Helper()
	p := &Process{machine: m, cmd: m.space.command(append([]string{"env"}, args...)...), line: strings.Join(args, " "), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir, p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = m.environment(), m.home, stdin, &p.out, &p.errs
	m.bed.must(p.cmd.Start())
	m.started = append(m.started, p)
	go func() { // ends with the program, which ends with the test
		_ = p.cmd.Wait() // Code tells
		close(p.done)
	}()
	return p
}

// Gamelan starts gamelan.
func (m *Machine) Gamelan(args ...string) *Process {
	m.bed.t.Helper()
	m.build()
	return m.Start(nil, append([]string{"gamelan"}, args...)...)
}

// Shell starts lines of the shell, which can run gamelan.
func (m *Machine) Shell(lines string) *Process {
	m.bed.t.Helper()
	m.build()
	return m.Start(nil, "bash", "-c", lines)
}

// Out and Errs return what the program has written so far.
func (p *Process) Out() string  { return p.out.String() }
func (p *Process) Errs() string { return p.errs.String() }

// Ended reports whether the program has ended, and Code its exit code then.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Code waits until the program has ended, and returns its exit code, -1 for a signal.
func (p *Process) Code() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// End ends the program, if it has not ended.
func (p *Process) End() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // one that has ended needs none
	<-p.done
}

// Signal sends the program a signal.
func (p *Process) Signal(s os.Signal) { p.machine.bed.must(p.cmd.Process.Signal(s)) }

// Try runs gamelan to its end, whatever that is.
func (m *Machine) Try(args ...string) *Process {
	m.bed.t.Helper()
	p := m.Gamelan(args...)
	<-p.done
	m.started = m.started[:len(m.started)-1] // its caller has what it wrote
	return p
}

// Run runs gamelan and returns its standard output. The test fails if it fails.
func (m *Machine) Run(args ...string) string {
	m.bed.t.Helper()
	p := m.Try(args...)
	if p.Code() != 0 {
		m.bed.t.Fatalf("%s: gamelan %s: got exit code %d, want 0:\n%s%s", m.Name, strings.Join(args, " "), p.Code(), p.Out(), p.Errs())
	}
	return p.Out()
}

// Node starts "gamelan node" and waits until it runs.
func (m *Machine) Node(args ...string) *Process {
	m.bed.t.Helper()
	p := m.Gamelan(append([]string{"node"}, args...)...)
	m.bed.Within(startLimit, "the node on "+m.Name+" starts", func() bool {
		if p.Ended() {
			m.bed.t.Fatalf("the node on %s ended:\n%s", m.Name, p.Errs())
		}
		return strings.Contains(p.Out(), "\nRunning.")
	})
	return p
}

const startLimit = time.Minute

// Status returns what "gamelan status" writes.
func (m *Machine) Status() string { m.bed.t.Helper(); return m.Run("status") }

// Get reads a path of the running node's API, such as /v1/connections, into v.
func (m *Machine) Get(path string, v any) error {
	ctx, cancel := context.WithTimeout(context.Background(), getLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://node"+path, http.NoBody)
	if err != nil {
		return err
	}
	socket := filepath.Join(m.home, ".local/share/gamelan/gamelan.sock")
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("bed: %s: %s", path, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(v)
}

const getLimit = 5 * time.Second

// Key returns the public key of the machine's node, which must have been started once.
func (m *Machine) Key() string {
	m.bed.t.Helper()
	if m.key == "" {
		var id struct {
			Key string `json:"public_key"`
		}
		m.bed.must(json.Unmarshal([]byte(m.Run("id", "--json")), &id))
		m.key = id.Key
	}
	return m.key
}

// Line returns KEY::ADDRESS of a node on the machine that listens on [Port], as it is true at
// present, whatever the node thinks of it.
func (m *Machine) Line() string {
	m.bed.t.Helper()
	return fmt.Sprintf("%s::/ip4/%s/tcp/%d", m.Key(), m.Public(), Port)
}

// Connection is a connection of a node, as its API shows it.
type Connection struct{ ID, Peer, Direction, Remote string }

// Connections returns the open connections of the node with that of another machine.
func (m *Machine) Connections(with *Machine) []Connection {
	m.bed.t.Helper()
	var peer struct {
		ID string `json:"node_id"`
	}
	var all struct{ Items []Connection }
	if m.Get("/v1/peers/"+with.Key(), &peer) != nil || m.Get("/v1/connections?state=open", &all) != nil {
		return nil // it does not know the peer, or does not answer
	}
	return slices.DeleteFunc(all.Items, func(c Connection) bool { return c.Peer != peer.ID })
}

// Connected reports whether the node says that it is connected with that of another machine.
func (m *Machine) Connected(with *Machine) bool {
	m.bed.t.Helper()
	return len(m.Connections(with)) > 0
}

// show writes the programs of the machine that run and those that ended last, and what they
// wrote last.
func (m *Machine) show() {
	m.bed.t.Helper()
	for i, p := range m.started {
		end := "runs"
		if p.Ended() {
			end = p.cmd.ProcessState.String()
		}
		if !p.Ended() || i >= len(m.started)-shown {
			m.bed.t.Logf("%s: %s (%s)\n%s%s", m.Name, p.line, end, last(p.Out()), last(p.Errs()))
		}
	}
}

const shown = 5

// last returns the end of a long text.
func last(s string) string {
	const most = 4000
	if len(s) > most {
		s = "…" + s[len(s)-most:]
	}
	return s
}

// TakeIdentity gives the machine's node, which must not run, the identity of another machine's node.
func (m *Machine) TakeIdentity(of *Machine) {
	m.bed.t.Helper()
	const dir = ".local/share/gamelan"
	m.bed.must(os.MkdirAll(filepath.Join(m.home, dir), 0o700))
	id, err := os.ReadFile(filepath.Join(of.home, dir, "identity.json"))
	m.bed.must(err)
	m.bed.must(os.WriteFile(filepath.Join(m.home, dir, "identity.json"), id, 0o600))
	m.key = ""
}

// dataDir is where the machine's node keeps its data.
func (m *Machine) dataDir() string { return filepath.Join(m.home, ".local/share/gamelan") }

// DataDisk gives the data directory of the machine's node, which has not been started, a disk of its own, of this
// many bytes. It goes with the test.
func (m *Machine) DataDisk(size int) {
	m.bed.t.Helper()
	dir := m.dataDir()
	m.bed.must(os.MkdirAll(dir, 0o700))
	m.bed.must(unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", size)))
	m.bed.t.Cleanup(func() { m.bed.must(unix.Unmount(dir, unix.MNT_DETACH)) })
}

const filling = "much"

// FillDataDisk fills that disk to the last byte.
func (m *Machine) FillDataDisk() {
	m.bed.t.Helper()
	file, err := os.Create(filepath.Join(m.dataDir(), filling))
	m.bed.must(err)
	defer file.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := file.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
}

// EmptyDataDisk takes away what FillDataDisk has written.
func (m *Machine) EmptyDataDisk() {
	m.bed.t.Helper()
	m.bed.must(os.Remove(filepath.Join(m.dataDir(), filling)))
}
