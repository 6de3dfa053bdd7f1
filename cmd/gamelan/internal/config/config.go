package config

import (
	"log/slog"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/gamelan-p2p/gamelan"
	kadpart "github.com/gamelan-p2p/gamelan/actors/kad"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/dht/kad"
	"github.com/gamelan-p2p/gamelan/dht/kad/store"
)

// Config are the values of the settings. A field of Node or DHT that is not set is zero, so
// that the node uses its default.
type Config struct {
	Node       gamelan.Config // without DHT and NoDHT
	DHTEnabled bool
	DHT        gamelan.DHTConfig
	DHTTypes   []string // of messages to show, in digits
	Inbox      gamelan.InboxConfig
	Kad        Kad
	LogLevel   slog.Level
	LogFormat  string        // "text" or "json"
	Drain      time.Duration // to finish accepted messages when the node stops
}

// Kad are the settings of the node's client of the key-value DHT.
type Kad struct {
	Enabled    bool
	ClientOnly bool
	Network    string
	MaxRecords int
	MaxBytes   int64
}

// own returns the defaults that are not those of the library.
func own() Config {
	stored := store.DaemonLimits(kad.Native).Total
	return Config{
		DHTEnabled: true, Kad: Kad{MaxRecords: stored.Records, MaxBytes: int64(stored.Bytes)},
		LogLevel: slog.LevelWarn, LogFormat: "text", Drain: 30 * time.Second,
	}
}

// defaults returns a Config with every default filled in.
func defaults() *Config {
	c := own()
	c.Node, c.DHT, c.Inbox = gamelan.DefaultConfig(), gamelan.DefaultDHTConfig(), gamelan.DefaultInboxConfig()
	return &c
}

// ForNode returns the config of the node.
func (c *Config) ForNode() gamelan.Config {
	n := c.Node
	if !c.DHTEnabled {
		n.NoDHT = true
		return n
	}
	d := c.DHT
	n.DHT = &d
	return n
}

// ForKad returns the config of the node's client of the key-value DHT, and false if it has
// none.
func (c *Config) ForKad(name string) (client kadpart.Config, ok bool) {
	limits := store.DaemonLimits(kad.Native)
	limits.Total = store.Quota{Records: c.Kad.MaxRecords, Bytes: int(min(c.Kad.MaxBytes, math.MaxInt))}
	client = kadpart.Config{Name: name, Network: c.Kad.Network, Limits: &limits}
	if c.Kad.ClientOnly {
		client.Mode = kadpart.ClientOnly
	}
	return client, c.Kad.Enabled
}

// ForInbox returns the config of the node's inbox.
func (c *Config) ForInbox() gamelan.InboxConfig {
	in := c.Inbox
	if c.DHTEnabled {
		in.Types = c.Types()
	}
	return in
}

// Types returns the message types that gamelan listen shows, each once.
func (c *Config) Types() []int32 {
	types := []int32{api.TextType}
	for _, text := range c.DHTTypes {
		if t, err := strconv.ParseInt(text, 10, 32); err == nil && !slices.Contains(types, int32(t)) {
			types = append(types, int32(t))
		}
	}
	return types
}
