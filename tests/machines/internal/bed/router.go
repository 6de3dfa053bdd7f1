//go:build linux

package bed

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Router is what stands between a machine and the internet. Its device lan has the machine's
// cable, wan the internet.
type Router struct {
	bed      *Bed
	space    space
	number   int
	wan      netip.Addr
	hosts    int    // addresses that wan has had
	nat      bool   // it translates the machine's address into its own
	how      string // flags of masquerade
	forwards []int  // TCP ports
	rules    []string
}

func (r *Router) reset() error {
	r.nat, r.how, r.forwards, r.rules = false, "", nil, nil
	return errors.Join(r.up(), r.setAddress(1), r.load(), r.space.forgetConnections())
}

// plug gives it its addresses on the machine's side. What is for the machine and cannot be
// delivered disappears.
func (r *Router) plug() error {
	n := r.number
	return errors.Join(
		r.space.set(map[string]string{"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1", "net/ipv6/conf/all/keep_addr_on_down": "1"}),
		r.space.ip("addr add %s/24 dev lan\naddr add %s/24 dev lan\naddr add %s/64 dev lan nodad\nroute add blackhole %s metric 1000",
			machineAddr(n, 1), privateAddr(n, 1), machineAddr6(n, 1), networkOf(n)))
}

func (r *Router) up() error {
	return r.space.ip("link set lan up\nlink set wan up\nroute replace 0/0 dev wan\nroute replace ::/0 dev wan")
}

func (r *Router) setAddress(host int) error {
	old := r.wan
	r.hosts, r.wan = host, routerAddr(r.number, host)
	err := r.space.ip("addr replace %s/32 dev wan", r.wan)
	if old.IsValid() && old != r.wan { // last, since routes go with the last address
		err = errors.Join(err, r.space.ip("addr del %s/32 dev wan", old))
	}
	return err
}

// load gives nft all rules.
func (r *Router) load() error {
	var b strings.Builder
	b.WriteString("flush ruleset\ntable inet faults {\nchain forward {\ntype filter hook forward priority 0;\n")
	for _, rule := range r.rules {
		fmt.Fprintln(&b, rule)
	}
	b.WriteString("}\n}\n")
	if r.nat {
		fmt.Fprintf(&b, "table ip nat {\nchain out {\ntype nat hook postrouting priority srcnat;\noifname wan ip saddr 192.168.0.0/16 masquerade %s\n}\n", r.how)
		b.WriteString("chain in {\ntype nat hook prerouting priority dstnat;\n")
		for _, port := range r.forwards {
			fmt.Fprintf(&b, "iifname wan tcp dport %d dnat to %s\n", port, privateAddr(r.number, firstHost))
		}
		b.WriteString("}\nchain strangers {\ntype filter hook input priority 0;\niifname wan ct state new drop\n}\n}\n")
	}
	return r.space.nft(b.String())
}

// NAT puts the machine behind a network address translation: its address becomes private, and
// others see the router's. Strangers get no answer. How is flags of nft's masquerade:
// "fully-random" makes the outer port depend on the destination (symmetric).
func (r *Router) NAT(how ...string) {
	r.bed.t.Helper()
	r.nat, r.how = true, strings.Join(how, ",")
	r.bed.must(errors.Join(r.load(), r.machine().setAddress(firstHost)))
}

// NoNAT gives the machine a public address again. Connections through the NAT are forgotten.
func (r *Router) NoNAT() {
	r.bed.t.Helper()
	r.nat, r.forwards = false, nil
	r.bed.must(errors.Join(r.load(), r.space.forgetConnections(), r.machine().setAddress(firstHost)))
}

// Forward passes a TCP port of a router with NAT on to the machine's first private address.
func (r *Router) Forward(port int) {
	r.bed.t.Helper()
	r.forwards = append(r.forwards, port)
	r.bed.must(r.load())
}

// Rule adds a statement of nft for all packets from and to the machine, such as
// "tcp dport 18189 ct state new drop". Addresses are those inside of a NAT.
func (r *Router) Rule(format string, args ...any) {
	r.bed.t.Helper()
	r.rules = append(r.rules, fmt.Sprintf(format, args...))
	r.bed.must(r.load())
}

// ClearRules removes all statements of Rule, [Bed.Drop] and [Bed.Reject] from this router.
func (r *Router) ClearRules() {
	r.bed.t.Helper()
	r.rules = nil
	r.bed.must(r.load())
}

// Off takes the router away: the machine's cable ends nowhere.
func (r *Router) Off() {
	r.bed.t.Helper()
	r.bed.must(errors.Join(r.space.ip("link set wan down\nlink set lan down"), r.space.nft("flush ruleset"), r.space.forgetConnections()))
}

// On starts it again. It knows no connections; its rules, its NAT and its forwards are as they
// were.
func (r *Router) On() {
	r.bed.t.Helper()
	r.bed.must(errors.Join(r.up(), r.load()))
}

// ChangeAddress gives the router another address on its outer side, as some providers do each
// day, and returns it. Connections through a NAT are forgotten.
func (r *Router) ChangeAddress() netip.Addr {
	r.bed.t.Helper()
	r.bed.must(errors.Join(r.setAddress(r.hosts+1), r.space.forgetConnections()))
	return r.wan
}

func (r *Router) machine() *Machine { return r.bed.machines[r.number-1] }
