package render

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/transport"
)

// Identity is the output of id and init with --json. Seeds are the node's addresses in the
// form for send and node, KEY::ADDRESS.
type Identity struct {
	NodeID    string   `json:"node_id"`
	PublicKey string   `json:"public_key"`
	Network   string   `json:"network"`
	Running   bool     `json:"running"`
	Seeds     []string `json:"seeds"`
	Beyond    bool     `json:"-"` // it listens for other machines although nobody has said so
}

// NewIdentity returns the key and the network of the key file, and the addresses of the
// running node n, which is nil if none runs.
func NewIdentity(key identity.PublicKey, network string, n *models.Node) Identity {
	if n == nil {
		return Identity{key.NodeID().String(), key.String(), network, false, []string{}, false}
	}
	return Identity{key.NodeID().String(), key.String(), n.Network, true, Pasteable(key, n.Addresses), false}
}

// Pasteable returns each address of the node with that key as KEY::ADDRESS.
func Pasteable(key identity.PublicKey, addrs []string) []string {
	all := []string{}
	for _, addr := range addrs {
		all = append(all, key.String()+"::"+addr)
	}
	return all
}

// Made reports that an identity was made in the directory dir.
func Made(o *Output, dir string, i Identity) error {
	if o.JSON {
		return o.PrintJSON(i)
	}
	fmt.Fprintf(o.Out, "Made a new identity in %s.\n", dir)
	for line := range strings.Lines(o.keyLines(i.PublicKey, i.NodeID) + "network     " + i.Network + "\n") {
		fmt.Fprint(o.Out, "  ", line)
	}
	_, err := fmt.Fprintf(o.Out, "Next: %s\n", o.Command("node"))
	return err
}

// keyLines returns a line with a public key, and with Verbose one with the node id.
func (o *Output) keyLines(key, nodeID string) string {
	text := fmt.Sprintf("public key  %s\n", key)
	if o.Verbose {
		text += fmt.Sprintf("node id     %s\n", nodeID)
	}
	return text
}

// ShowIdentity writes the node's identity and its addresses, the best first.
func ShowIdentity(o *Output, i Identity) error {
	if o.JSON {
		return o.PrintJSON(i)
	}
	fmt.Fprintf(o.Out, "%snetwork     %s\n", o.keyLines(i.PublicKey, i.NodeID), i.Network)
	for _, s := range bestFirst(i.Seeds) {
		fmt.Fprintf(o.Out, "address     %s\n", s)
	}
	switch {
	case !i.Running:
		b := o.lines()
		b.about("address", "none: the node is not running; start it with: "+o.Command("node"))
		return b.print(o)
	case len(i.Seeds) == 0:
		fmt.Fprintf(o.Out, "address     none: the node does not listen; start it with --listen ADDRESS\n")
	}
	return nil
}

// shownAddress is the output of id --address with --json.
type shownAddress struct {
	Address string   `json:"address"`       // the best one
	All     []string `json:"all,omitempty"` // with --all: each one, the best first
	Running bool     `json:"running"`
}

// ShowAddress writes the best address of the node as KEY::ADDRESS, on a line of its own; with
// all, it writes each one, the best first.
func ShowAddress(o *Output, i Identity, all bool) error {
	if len(i.Seeds) == 0 {
		return failure.New("no_address", "start it with --listen ADDRESS", "the node does not listen")
	}
	sorted := bestFirst(i.Seeds)
	if !all {
		sorted = sorted[:1]
	}
	if o.JSON {
		v := shownAddress{Address: sorted[0], Running: i.Running}
		if all {
			v.All = sorted
		}
		return o.PrintJSON(v)
	}
	_, err := fmt.Fprintln(o.Out, strings.Join(sorted, "\n"))
	return err
}

// bestFirst sorts KEY::ADDRESS by how many others can reach the address: everybody, those of
// the same private network, those on the same link, or only this machine. Those that are equal
// keep their order.
func bestFirst(seeds []string) []string {
	return slices.SortedStableFunc(slices.Values(seeds), func(a, b string) int { return cmp.Compare(reach(a), reach(b)) })
}

// reach returns a smaller number the more others can reach the address of KEY::ADDRESS.
func reach(seed string) int {
	_, addr, _ := strings.Cut(seed, "::")
	a, err := ma.NewMultiaddr(addr)
	if err != nil {
		return 0
	}
	switch ip, ok := transport.IP(a); {
	case !ok: // a name, or an onion service
		return 0
	case ip.IsLoopback():
		return 3
	case ip.IsLinkLocalUnicast():
		return 2
	case ip.IsPrivate(), carrierGrade.Contains(ip):
		return 1
	}
	return 0
}

// carrierGrade are the addresses of a provider's own network (RFC 6598).
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// Running reports that the node runs, and its addresses.
func Running(o *Output, version string, i Identity) error {
	if o.JSON {
		return o.PrintJSON(i)
	}
	fmt.Fprintf(o.Out, "gamelan %s on %s\n", version, i.Network)
	if err := ShowIdentity(o, i); err != nil {
		return err
	}
	if i.Beyond {
		fmt.Fprintln(o.Out, "Other machines can connect, because a peer is on one of them. --listen nowhere stops it.")
	}
	return o.Say("Running. Look inside with: " + o.Command("tree"))
}

// SeedRunning writes the one line that others need to enter the network through this node.
func SeedRunning(o *Output, version string, i Identity) error {
	if o.JSON {
		return o.PrintJSON(i)
	}
	line, local := seedLine(i)
	o.Note("gamelan %s, a seed on %s. Others enter the network with this line in the setting node.seeds, or after --peer:", version, i.Network)
	if _, err := fmt.Fprintln(o.Out, line); err != nil {
		return err
	}
	if local {
		o.Note("Only programs on this machine can reach this address; for others: --listen /ip4/0.0.0.0/tcp/18189, and behind a router --public-address.")
	}
	o.Note("Running. Look at it with: %s", o.Command("network status"))
	return nil
}

// seedLine returns the key with all addresses, KEY::ADDRESS[::ADDRESS…]. It leaves loopback
// addresses out if there are others; local reports that there are none.
func seedLine(i Identity) (line string, local bool) {
	var near, far []string
	for _, s := range i.Seeds {
		_, addr, _ := strings.Cut(s, "::")
		if reach(s) == 3 {
			near = append(near, addr)
		} else {
			far = append(far, addr)
		}
	}
	if len(far) == 0 {
		return strings.Join(slices.Concat([]string{i.PublicKey}, near), "::"), true
	}
	return strings.Join(slices.Concat([]string{i.PublicKey}, far), "::"), false
}
