//go:build linux

package bed

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/tests/machines/internal/internet"
)

// Port is the TCP port on which nodes listen, and Listen is such a node's address.
const (
	Port   = 18189
	Listen = "/ip4/0.0.0.0/tcp/18189"
)

// Bed is some machines, their routers, and what is between them. One test at a time uses it.
type Bed struct {
	Internet *internet.Internet // networks have the names of their machines
	DNS      *DNS

	name     string // of its namespaces, with a hyphen at the end
	dir      string
	machines []*Machine
	t        testing.TB
}

var beds atomic.Int32 // of this process

// folder returns the folder of everything that beds of this process keep on the disk.
func folder() string { return filepath.Join(os.TempDir(), fmt.Sprint(prefix, os.Getpid())) }

// Missing returns an error that says what keeps this system from having a bed.
func Missing() error {
	if os.Getuid() != 0 {
		return errors.New("bed: network namespaces need root")
	}
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	for _, program := range []string{"ip", "nft", "dnsmasq"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("bed: %w; install the packages iproute2, nftables and dnsmasq-base", err)
		}
	}
	return nil
}

// Start makes a bed with machines of these names, at most 200. Close removes it.
func Start(names ...string) (*Bed, error) {
	if err := Missing(); err != nil {
		return nil, err
	}
	if err := Sweep(); err != nil {
		return nil, err
	}
	number := beds.Add(1)
	b := &Bed{
		Internet: internet.New(), name: fmt.Sprintf("%s%d-%d-", prefix, os.Getpid(), number),
		dir: filepath.Join(folder(), fmt.Sprint(number)),
	}
	err := os.MkdirAll(b.dir, 0o700)
	if err == nil {
		b.DNS, err = b.startDNS()
	}
	for i, name := range names {
		if err == nil {
			err = b.addMachine(name, i+1)
		}
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Close ends all programs and removes the bed. Programs of another bed go on.
func (b *Bed) Close() error {
	b.Internet.Close()
	var all error
	for _, m := range b.machines {
		all = errors.Join(all, m.space.remove(), m.Router.space.remove())
	}
	if b.DNS != nil {
		all = errors.Join(all, b.DNS.space.remove())
	}
	all = errors.Join(all, os.RemoveAll(b.dir))
	os.Remove(folder()) // the last one
	return all
}

// Use gives the bed to a test, as new. When the test ends, it ends all programs; those of a
// test that has failed write what they wrote.
func (b *Bed) Use(t testing.TB) {
	t.Helper()
	b.t = t
	b.must(b.reset())
	t.Cleanup(func() {
		for _, m := range b.machines {
			if t.Failed() {
				m.show()
			}
			b.must(m.space.kill())
		}
	})
}

// reset ends all programs and undoes all that tests did.
func (b *Bed) reset() error {
	b.Internet.Everywhere(internet.Path{})
	all := b.DNS.set(nil)
	for _, m := range b.machines {
		all = errors.Join(all, m.reset())
	}
	return all
}

// Machine returns the machine of this name.
func (b *Bed) Machine(name string) *Machine {
	b.t.Helper()
	for _, m := range b.machines {
		if m.Name == name {
			return m
		}
	}
	b.t.Fatalf("bed: there is no machine %s", name)
	return nil
}

// Drop lets two machines hear nothing of each other, as a firewall between them does.
func (b *Bed) Drop(one, other *Machine) {
	b.t.Helper()
	one.Router.Rule("ip saddr %s drop", other.network())
	one.Router.Rule("ip daddr %s drop", other.network())
}

// Reject lets a firewall refuse new connections from one machine to another. How is the rest of
// a statement of nft, such as "with tcp reset" or "with icmp admin-prohibited".
func (b *Bed) Reject(from, to *Machine, how string) {
	b.t.Helper()
	to.Router.Rule("ip saddr %s meta l4proto tcp ct state new reject %s", from.network(), how)
}

// Within looks until ok, at most for limit, and returns how long it took. If it takes longer
// the test fails.
func (b *Bed) Within(limit time.Duration, what string, ok func() bool) time.Duration {
	b.t.Helper()
	for begin := time.Now(); ; time.Sleep(lookEvery) {
		took := time.Since(begin)
		switch {
		case ok():
			return took
		case took > limit:
			b.t.Fatalf("got nothing within %v, want that %s", limit, what)
		}
	}
}

const lookEvery = 50 * time.Millisecond

// must fails the test if a verb of the bed could not be carried out.
func (b *Bed) must(err error) {
	if err != nil {
		b.t.Helper()
		b.t.Fatal(err)
	}
}

// wrongClock is the tag of the build whose node takes its wall clock from WRONG_CLOCK.
const wrongClock = "wrongclock"

// program and wrongClockProgram build gamelan when they are called first.
var (
	program           = sync.OnceValue(func() error { return build("") })
	wrongClockProgram = sync.OnceValue(func() error { return build(wrongClock) })
)

// binFolder returns the folder of the gamelan that is built with a tag.
func binFolder(tag string) string { return filepath.Join(folder(), "bin"+tag) }

func build(tag string) error {
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-tags="+tag, "-o", filepath.Join(binFolder(tag), "gamelan"), "github.com/gamelan-p2p/gamelan/cmd/gamelan")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("bed: %s: %w\n%s", cmd, err, out)
	}
	return nil
}

// RemovePrograms removes what was built. No bed may use it any more.
func RemovePrograms() error { return os.RemoveAll(folder()) }

// Addresses of number N.
func machineAddr(n, host int) netip.Addr { return netip.AddrFrom4([4]byte{11, byte(n), 0, byte(host)}) }

func privateAddr(n, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{192, 168, byte(n), byte(host)})
}

func routerAddr(n, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{11, byte(n), 255, byte(host)})
}

func networkOf(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(n), 0, 0}), 16)
}

func machineAddr6(n, host int) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0x26, 3: byte(n), 15: byte(host)})
}

func networkOf6(n int) netip.Prefix { return netip.PrefixFrom(machineAddr6(n, 0), 32) }
