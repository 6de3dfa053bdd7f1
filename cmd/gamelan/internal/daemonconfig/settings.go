package daemonconfig

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/loglevel"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/inspect/metrics"
	"github.com/gamelan-p2p/gamelan/internal/gate"
	"github.com/gamelan-p2p/gamelan/internal/kad/nativewire"
	"github.com/gamelan-p2p/gamelan/internal/kad/values"
	"github.com/gamelan-p2p/gamelan/internal/settings"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Names of package settings, for the packages of the command.
type (
	Setting  = settings.Row
	Sources  = settings.Sources
	Loaded   = settings.Loaded[Config]
	Problem  = settings.Problem
	Problems = settings.Problems
	Change   = settings.Change
)

// Table are all settings, in the order of the file.
var Table = newTable()

// Settings are the rows of the table.
var Settings = Table.Rows

func newTable() *settings.Table {
	t := config.Table(func(c *Config) *config.Config { return &c.Node }, func(c *Config) *config.InboxConfig { return &c.Inbox })
	t.Example = "log.level"
	t.Rows = settings.Before(settings.Before(t.Rows, "inbox.max_bytes", kadRows()...), "inspect.share_why", inspectRows()...)
	t.Rows = append(t.Rows, ownRows()...)
	for key, more := range map[string]string{
		"node.seeds":        "gamelan id --address prints it on the other node.",
		"dht.types":         "gamelan listen shows their messages.",
		"discovery.no_join": "gamelan join asks for it.",
		"discovery.no_sync": "gamelan network sync asks for it.",
		"saf.no_requests":   "gamelan saf fetch asks for it.",
	} {
		r, _ := t.Find(key)
		r.Doc += " " + more
		if r.Kind == settings.Seeds {
			r.Hint = "as " + strings.TrimSuffix(more, ".")
		}
	}
	inbox := slices.IndexFunc(t.Sections, func(s settings.Section) bool { return s.Name == "inbox" })
	t.Sections[inbox].Doc = "Received messages, kept until they are acknowledged: see gamelan listen."
	outside := slices.IndexFunc(t.Sections, func(s settings.Section) bool { return s.Name == "inspect" })
	t.Sections[outside].Doc = "Who may look at the node: with a browser or from another machine (see docs/operating.md), and peers, of connections with them."
	t.Sections = append(slices.Insert(t.Sections, inbox, settings.Section{
		Name: "kad", Doc: "The key-value DHT, a Kademlia network for small values: the client that this node runs. It has nothing in common with the DHT that passes messages on.",
	}), settings.Section{Name: "metrics", Doc: "Metrics for Prometheus. See docs/metrics.md."}, settings.Section{Name: "log", Doc: "The log, on standard error."}, settings.Section{Name: "daemon", Doc: "The running of the program."})
	return t
}

func kadRows() []*Setting {
	type opt = settings.Options
	stored := values.DaemonLimits(overlay.Native).Total
	return doc(map[string]string{
		"kad.enabled":     "Runs a client of the key-value DHT, over the connections of the node. The verbs of gamelan kad use it.",
		"kad.client_only": "Makes the client ask others and serve nobody: it stores nothing for others, and nobody learns of it.",
		"kad.network":     "Name of a network of the key-value DHT apart from the common one. Only clients of the same network meet.",
		"kad.max_records": "Most records that the client stores for others. They are in memory and on the disk.",
		"kad.max_bytes":   "Most bytes of these records, each with 256 bytes for what belongs to it.",
	},
		settings.On("kad.enabled", func(c *Config) *bool { return &c.Kad.Enabled }).With(opt{Flag: "kad"}),
		settings.On("kad.client_only", func(c *Config) *bool { return &c.Kad.ClientOnly }),
		settings.Words("kad.network", func(c *Config) *string { return &c.Kad.Network }, "", nativewire.MaxNetwork, `"staging"`).With(opt{Dynamic: "the common one"}),
		settings.Number("kad.max_records", func(c *Config) *int { return &c.Kad.MaxRecords }, stored.Records, 1, 10_000_000, `20000`),
		settings.Number("kad.max_bytes", func(c *Config) *int64 { return &c.Kad.MaxBytes }, int64(stored.Bytes), 64<<10, 1<<36, `"64MiB"`),
	)
}

// inspectRows are those of the section inspect that a program has no fields for: it serves what it likes.
func inspectRows() []*Setting {
	type opt = settings.Options
	return doc(map[string]string{
		"inspect.listen":   "Where the page and the API are reached over TCP: a port of 127.0.0.1. With an address, as in 0.0.0.0:9465, other machines reach it, over TLS. See gamelan token, gamelan ui.",
		"inspect.tls":      "Encrypts inspect.listen with a certificate that the node makes and keeps in its data directory. gamelan token tells others its fingerprint.",
		"inspect.tls_cert": "File with a certificate and those of its issuers, in PEM, in place of the node's own one. After HUP the node takes a renewed one, with its key.",
		"inspect.tls_key":  "File with the key of that certificate, in PEM.",
		"inspect.hosts":    "Names by which others reach inspect.listen, beside the addresses of this machine: that of a proxy, for instance. Requests to other names are refused.",
	},
		settings.Words("inspect.listen", func(c *Config) *string { return &c.Inspect.Listen }, "", 64, `"9465"`).
			With(opt{Dynamic: "nowhere", Form: "a port, or an IP address and a port", Valid: refuseInspect}),
		settings.On("inspect.tls", func(c *Config) *bool { return &c.Inspect.TLS }),
		settings.Dir("inspect.tls_cert", func(c *Config) *string { return &c.Inspect.Cert }, `"/etc/gamelan/inspect.crt"`).With(opt{Dynamic: "none"}),
		settings.Dir("inspect.tls_key", func(c *Config) *string { return &c.Inspect.Key }, `"/etc/gamelan/inspect.key"`).With(opt{Dynamic: "none"}),
		settings.List("inspect.hosts", settings.DNSNames, func(c *Config) *[]string { return &c.Inspect.Hosts }, 16, `["node.example.org"]`),
	)
}

func ownRows() []*Setting {
	type opt = settings.Options
	return doc(map[string]string{
		"metrics.listen": "Where Prometheus finds the metrics, at /metrics: a port of 127.0.0.1. With an address before it, as in 10.0.0.7:9464, other machines find them as well. " +
			"There is no password.",
		"log.level":    "Least important messages that are logged, on standard error.",
		"log.levels":   "Levels of single packages, as in connections=debug,dhtpart=warn. gamelan log level lists the packages, and changes levels of a running node.",
		"log.format":   "How messages are logged. With --json it is json.",
		"daemon.drain": "Time to finish accepted messages when the node stops.",
	},
		settings.Words("metrics.listen", func(c *Config) *string { return &c.Metrics }, "", 64, `"9464"`).
			With(opt{Dynamic: "nowhere", Form: "a port, or an IP address and a port", Valid: refuseMetrics}),
		settings.OneOf("log.level", func(c *Config) *slog.Level { return &c.LogLevel }, slog.LevelInfo, []string{"debug", "info", "warn", "error"}, `"warn"`).With(opt{Reload: true}),
		settings.Words("log.levels", func(c *Config) *string { return &c.LogLevels }, "", 1000, `"connections=debug"`).
			With(opt{Dynamic: "those of log.level", Form: "PACKAGE=LEVEL, with commas between several", Reload: true, Valid: func(text string) error { _, err := loglevel.Parse(text); return err }}),
		settings.OneOf("log.format", func(c *Config) *string { return &c.LogFormat }, "text", []string{"text", "json"}, `"json"`),
		settings.Number("daemon.drain", func(c *Config) *time.Duration { return &c.Drain }, 30*time.Second, time.Millisecond, time.Hour, `"1m"`).With(opt{Reload: true, Flag: "drain"}),
	)
}

// doc gives rows of the command their texts. Programs have no fields for them: errors about them have the key.
func doc(texts map[string]string, rows ...*Setting) []*Setting {
	for _, r := range rows {
		r.Doc, r.Field = texts[r.Key], r.Key
	}
	return rows
}

// refuseInspect returns an error unless a text is an address to listen at.
func refuseInspect(text string) error {
	_, err := gate.ParseAddress(text)
	return err
}

// refuseMetrics returns an error unless metrics can be served at an address.
func refuseMetrics(text string) error {
	_, err := metrics.ParseAddress(text)
	if bad, ok := errors.AsType[*metrics.AddressError](err); ok {
		return errors.New(bad.Why)
	}
	return err
}
