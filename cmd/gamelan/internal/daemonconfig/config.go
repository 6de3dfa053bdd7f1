package daemonconfig

import (
	"cmp"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/internal/settings"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// Config are the values of the settings.
type Config struct {
	Node      gamelan.Config      // with a DHT, also if NoDHT is set
	Inbox     gamelan.InboxConfig // Types without the command's own
	Kad       Kad
	Metrics   string // where metrics are served, "" nowhere: see [metrics.ParseAddress]
	Inspect   Inspect
	LogLevel  slog.Level
	LogLevels string        // of packages; see package loglevel
	LogFormat string        // "text" or "json"
	Drain     time.Duration // to finish accepted messages when the node stops
}

// Kad are the settings of the node's client of the key-value DHT.
type Kad struct {
	Enabled    bool
	ClientOnly bool
	Network    string
	MaxRecords int
	MaxBytes   int64
}

// Inspect are the settings of the API and the page over TCP.
type Inspect struct {
	Listen    string // "" nowhere: see [gate.ParseAddress]
	TLS       bool   // with the node's own certificate, unless there are files
	Cert, Key string // files
	Hosts     []string
}

// Encrypted reports whether there is TLS.
func (i *Inspect) Encrypted() bool { return i.TLS || i.Cert != "" }

// Load reads the sources.
func Load(s Sources) *Loaded {
	l := unread().Load(s, check)
	if len(l.Problems) == 0 {
		l.Notes = append(l.Notes, notes(&l.Config)...)
	}
	return l
}

// LoadFile reads one file alone.
func LoadFile(path string) *Loaded {
	return Load(Sources{Files: []string{path}, Named: true})
}

// unread returns the settings before any source is read. A field of Node is zero until it is set,
// so that the node uses its default.
func unread() *Loaded {
	c := Config{Node: gamelan.Config{DHT: new(gamelan.DHTConfig)}}
	settings.Fill(&c, slices.Concat(kadRows(), inspectRows(), ownRows()))
	return settings.New(Table, c)
}

// Changes lists the settings whose values differ.
func Changes(old, now *Loaded) []Change { return settings.Changes(old, now) }

// DataDir returns the data directory that the sources name, or "" for the default. unknown
// are the problems because of which the directory is not certain.
func DataDir(l *Loaded) (dir string, from settings.Origin, unknown []*Problem) {
	return l.Config.Node.DataDir, l.Origin("data_dir"), l.Uncertain("data_dir")
}

// Network returns the network that the settings name, or localnet; private is the name of it if it is a
// private one.
func Network(l *Loaded) (n protocol.Network, private string, err error) {
	return NetworkNamed(cmp.Or(l.Config.Node.Network, protocol.LocalNet.String()))
}

// NetworkNamed is Network for a name, or the path of the file of a private network.
func NetworkNamed(text string) (n protocol.Network, private string, err error) {
	if !config.IsNetworkFile(text) {
		n, err = protocol.ParseNetwork(text)
		return n, "", err
	}
	p, err := config.ReadNetwork(text)
	return protocol.PrivateNet, p.Name, err
}

// ForNode returns the config of the node.
func (c *Config) ForNode() gamelan.Config {
	n := c.Node
	if n.NoDHT {
		n.DHT = nil
	}
	return n
}

// ForKad returns the config of the node's client of the key-value DHT, and false if it has
// none.
func (c *Config) ForKad(name string) (client kad.Config, ok bool) {
	limits := values.DaemonLimits(overlay.Native)
	limits.Total = overlay.StoreQuota{Records: c.Kad.MaxRecords, Bytes: int(min(c.Kad.MaxBytes, math.MaxInt))}
	client = kad.Config{Name: name, Network: c.Kad.Network, Limits: &limits}
	if c.Kad.ClientOnly {
		client.Mode = kad.ClientOnly
	}
	return client, c.Kad.Enabled
}

// ForInbox returns the config of the node's inbox.
func (c *Config) ForInbox() gamelan.InboxConfig {
	in := c.Inbox
	in.Types = c.Types()
	if c.Node.NoDHT {
		in.Types = nil
	}
	return in
}

// Types returns the message types that gamelan listen shows, each once.
func (c *Config) Types() []int32 {
	types := []int32{api.TextType}
	for _, t := range c.Inbox.Types {
		if !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return types
}
