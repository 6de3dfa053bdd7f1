package config

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/credit"
	"github.com/gamelan-p2p/gamelan/internal/settings"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Table returns the table of the settings of a C: those of a node and of its inbox. A program may add
// rows and sections of its own.
func Table[C any](node func(*C) *Config, inbox func(*C) *InboxConfig) *settings.Table {
	all, kept := settings.In("", node, rows()...), settings.In("Inbox", inbox, inboxRows()...)
	all = settings.Before(all, "dht.no_forwarding", kept[0])
	all = settings.Before(all, "mux.max_streams", kept[1:]...)
	return &settings.Table{
		Rows: all, Sections: slices.Clone(sections), Program: "gamelan", Example: "mux.window",
		Words: map[string]string{"ListenNowhere": `"nowhere"`}, Fault: fault,
	}
}

// described gives rows their explanations and the names of their fields for programs.
func described(in string, rows []*settings.Row) []*settings.Row {
	for _, r := range rows {
		if !r.Not { // a program sets the opposite
			r.Doc, r.Go = docs[r.Key], in+r.Field
		}
	}
	return rows
}

// fault returns the field that a [*ConfigError] is about, and what is wrong with it.
func fault(err error) (field string, cause error, ok bool) {
	bad, ok := err.(*ConfigError)
	if !ok {
		return "", nil, false
	}
	return bad.Field, errors.New(strings.TrimPrefix(bad.Err.Error(), "mux: invalid config: ")), true
}

// Default returns the zero Config with its defaults filled in, except for defaults
// that depend on another field.
func Default() Config {
	c := Config{Mux: MuxConfig(mux.Config{}.WithDefaults())}
	settings.Fill(&c, rows())
	return c
}

// DefaultDHT returns the zero DHTConfig with its defaults filled in.
func DefaultDHT() DHTConfig {
	c := Config{DHT: new(DHTConfig)}
	settings.Fill(&c, rows())
	return *c.DHT
}

var (
	networks = []string{"localnet", "mainnet", "stagenet", "nextnet", "igor", "esmeralda"}
	releases = []string{protocol.Release6.String(), protocol.Release17.String(), protocol.ReleaseRC5.String()}
)

func parseNetwork(text string) (string, error) {
	n, err := protocol.ParseNetwork(text)
	return n.String(), err
}

// openNetwork checks the file of a private network.
func openNetwork(path string) error {
	b, _, err := readNetwork(path)
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "gamelan: "))
	}
	if _, problems := parsePrivate(path, b); len(problems) > 0 {
		return problems
	}
	return nil
}

func parseRelease(text string) (string, error) {
	r, err := protocol.ParseRelease(text)
	return r.String(), err
}

const aSeed = `"e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76`

func nodeRows() []*settings.Row {
	type opt = settings.Options
	return []*settings.Row{
		settings.Dir("data_dir", func(c *Config) *string { return &c.DataDir }, `"/var/lib/gamelan"`).
			With(opt{Dynamic: "gamelan in the data directory of XDG, which is ~/.local/share"}),
		settings.Number("data_dir_group", func(c *Config) *int { return &c.DataDirGroup }, 0, 1, math.MaxInt32, `65532`).
			With(opt{Dynamic: "none"}),
		settings.OneOf("node.network", func(c *Config) *string { return &c.Network }, protocol.LocalNet.String(), networks, `"localnet"`).
			With(opt{
				Flag: "network", Dynamic: "that of the identity, else localnet", Parse: parseNetwork, IsFile: IsNetworkFile, Open: openNetwork,
				Form: "one of " + strings.Join(networks, ", ") + ", or the path of the file of a private network",
			}),
		settings.OneOf("node.release", func(c *Config) *string { return &c.Release }, releases[0], releases, `"6.2"`).
			With(opt{Flag: "release", Parse: parseRelease}),
		settings.List("node.listen", settings.Addrs, func(c *Config) *[]string { return &c.Listen }, 16, `["/ip4/0.0.0.0/tcp/18189"]`).
			With(opt{Flag: "listen", Names: []string{ListenNowhere}, Dynamic: "on localnet a free port, kept for the next start, on loopback, or with a seed elsewhere where the way to it leaves; else port 18189 of all interfaces; behind Tor a free loopback port, behind a proxy nowhere"}),
		settings.OneOf("node.transport", func(c *Config) *string { return &c.Transport }, TransportTCP, transports, `"tor"`).
			With(opt{Flag: "transport"}),
		settings.List("node.public_addresses", settings.Addrs, func(c *Config) *[]string { return &c.PublicAddresses }, 5, `["/dns4/node.example.org/tcp/18189"]`).
			With(opt{Flag: "public-address", Reload: true, Dynamic: "what the node listens on, as far as others can reach it", FileMost: true}), // a Profile may allow more
		settings.List("node.seeds", settings.Seeds, func(c *Config) *[]string { return &c.Seeds }, 1000, `[`+aSeed+`::/ip4/203.0.113.7/tcp/18189"]`).
			With(opt{Flag: "peer", Reload: true, FileMost: true}),
		settings.Words("node.user_agent", func(c *Config) *string { return &c.UserAgent }, ownAgent, protocol.Tari(protocol.LocalNet).Limits.UserAgent, `"relay-3"`).
			With(opt{Flag: "user-agent", Dynamic: "gamelan and its version"}),
		settings.On("node.client", func(c *Config) *bool { return &c.Client }).With(opt{Flag: "client"}),
		settings.On("node.plain_on_profile", func(c *Config) *bool { return &c.PlainOnProfile }).With(opt{Flag: "plain-on-profile"}),
		settings.Words("node.plain_protocol", func(c *Config) *string { return &c.PlainID }, "", protocol.MaxID, `"myapp/msg/1"`).
			With(opt{Dynamic: "gamelan/msg/1"}),
	}
}

func connectionRows() []*settings.Row {
	type opt = settings.Options
	return []*settings.Row{
		settings.Number("connections.keep_alive", func(c *Config) *time.Duration { return &c.KeepAlive }, 30*time.Second, time.Second, time.Hour, `"1m"`),
		settings.Number("connections.min_connected", func(c *Config) *int { return &c.MinConnected }, 1, 1, 10_000, `3`),
		settings.Number("connections.max_inbound", func(c *Config) *int { return &c.MaxInbound }, 500, 1, 100_000, `200`),
		settings.Number("connections.max_setups", func(c *Config) *int { return &c.MaxSetups }, 100, 1, 10_000, `50`),
		settings.Number("connections.max_dials", func(c *Config) *int { return &c.MaxDials }, 8, 1, 1_000, `16`),
		settings.Number("connections.dial_rate", func(c *Config) *int { return &c.DialRate }, 20, 1, 1_000, `5`),
		settings.Number("connections.floor", func(c *Config) *int { return &c.Floor }, 8, NoFloor, 1_000, `12`).With(opt{Zero: NoFloor}),
		settings.Number("connections.max_inbound_per_source", func(c *Config) *int { return &c.MaxInboundPerSource }, 32, 1, 100_000, `8`),
		settings.Number("connections.max_setups_per_source", func(c *Config) *int { return &c.MaxSetupsPerSource }, 4, 1, 10_000, `2`),
		settings.Number("connections.max_inbound_per_subnet", func(c *Config) *int { return &c.MaxInboundPerSubnet }, 128, 1, 100_000, `32`),
		settings.Number("connections.max_setups_per_subnet", func(c *Config) *int { return &c.MaxSetupsPerSubnet }, 16, 1, 10_000, `8`),
		settings.Number("connections.max_setup_rate_per_source", func(c *Config) *int { return &c.MaxSetupRatePerSource }, connpool.SetupRate, 1, 1_000_000, `30`),
		settings.Number("connections.max_offences_per_source", func(c *Config) *int { return &c.MaxOffencesPerSource }, connpool.OffenceLimit, 1, 1_000_000, `20`),
		settings.List("connections.exempt_sources", settings.Networks, func(c *Config) *[]string { return &c.ExemptSources }, 64, `["10.0.0.0/8"]`),
		settings.List("connections.exclude_dial", settings.Ranges, func(c *Config) *[]string { return &c.ExcludeDial }, 256, `["/ip4/198.51.100.*/tcp/*"]`),
		settings.List("connections.allow", settings.Peers, func(c *Config) *[]string { return &c.Allow }, 1000, `[`+aSeed+`"]`).With(opt{Reload: true, FileMost: true}),
		settings.OneOf("connections.admit", func(c *Config) *string { return &c.Admission }, AdmitAnyone, []string{AdmitAnyone, AdmitListed}, `"listed"`).
			With(opt{Flag: "admit"}),
		settings.Number("connections.keep_closest", func(c *Config) *int { return &c.KeepClosest }, 0, 1, 10_000, `50`).With(opt{Dynamic: "all"}),
		settings.List("liveness.allow", settings.Networks, func(c *Config) *[]string { return &c.LivenessAllow }, 64, `["127.0.0.1/32"]`),
		settings.Number("liveness.slots", func(c *Config) *int { return &c.LivenessSlots }, 1, 1, 100, `4`),
	}
}

func limitRows() []*settings.Row {
	return []*settings.Row{
		settings.Number("limits.node_credit", func(c *Config) *int64 { return &c.NodeCredit }, credit.DefaultNode, 1<<20, 1<<40, `"512MiB"`),
		settings.Number("limits.peer_credit", func(c *Config) *int64 { return &c.PeerCredit }, credit.DefaultPeer, 1<<10, 1<<30, `"2MiB"`),
		settings.Number("limits.max_peers", func(c *Config) *int { return &c.MaxPeers }, peerstore.DefaultMaxPeers, 1, 10_000_000, `10000`),
	}
}
