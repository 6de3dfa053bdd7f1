package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/settings"
)

// HealthConfig says from when on a node is degraded, and how often it writes figures to the log.
// docs/trouble.md has what can be wrong, each with its code.
type HealthConfig struct {
	// How long the node may be connected to nobody, or to too few, before it is degraded.
	//
	// Too few are less than MinConnected. Default 2 min.
	OfflineAfter time.Duration

	// Bytes that must be free in the file system of the data directory. With less the node is
	// degraded. Default 128 MiB, and below that nothing is stored for others.
	DiskFree int64

	// Percent of the inbox that may be full. Above that the node is degraded.
	//
	// It is that of its bytes or of its messages, whichever is more. Default 80.
	InboxLevel int

	// Percent of the messages sent in the last hour that may be in doubt; above that the node is
	// degraded. Fewer than 20 messages say nothing. Default 10.
	InDoubt int

	// How often one actor may fail within ten minutes, and be started again, before the node is
	// degraded. Default 5.
	Restarts int

	// How far the clock of this machine may be from that of most connected nodes before there is a
	// warning. Default 30 s.
	ClockOff time.Duration

	// Time between two lines of figures in the log, at the level info. Default 1 h.
	Heartbeat time.Duration

	// Codes of warnings with which the node is degraded. docs/trouble.md lists them.
	//
	// Such as not_reached, on a server that others have to reach.
	DegradedBy []string
}

func healthRows() []*settings.Row {
	return []*settings.Row{
		settings.Number("health.offline_after", func(c *HealthConfig) *time.Duration { return &c.OfflineAfter }, 2*time.Minute, time.Second, 7*24*time.Hour, `"10m"`),
		settings.Number("health.disk_free", func(c *HealthConfig) *int64 { return &c.DiskFree }, 128<<20, 1<<20, 1<<50, `"1GiB"`),
		settings.Number("health.inbox_level", func(c *HealthConfig) *int { return &c.InboxLevel }, 80, 1, 100, `60`),
		settings.Number("health.in_doubt", func(c *HealthConfig) *int { return &c.InDoubt }, 10, 1, 100, `5`),
		settings.Number("health.restarts", func(c *HealthConfig) *int { return &c.Restarts }, 5, 1, 1000, `3`),
		settings.Number("health.clock_off", func(c *HealthConfig) *time.Duration { return &c.ClockOff }, 30*time.Second, 5*time.Second, 24*time.Hour, `"2m"`),
		settings.Number("health.heartbeat", func(c *HealthConfig) *time.Duration { return &c.Heartbeat }, time.Hour, time.Minute, 7*24*time.Hour, `"15m"`),
		settings.List("health.degraded_by", settings.Codes, func(c *HealthConfig) *[]string { return &c.DegradedBy }, 64, `["not_reached"]`).
			With(settings.Options{RefuseText: refuseCode}),
	}
}

// refuseCode returns an error unless a text is the code of a warning.
func refuseCode(name string) error {
	c := codes.Named(name)
	switch {
	case c == nil:
		return fmt.Errorf("there is no code %q; docs/trouble.md lists them", name)
	case c.Severity != models.Warning:
		return fmt.Errorf("%s is no warning, but %s at any time; leave it out", name, c.Severity)
	}
	return nil
}

func (s *Settled) checkHealth() error {
	for _, name := range s.Health.DegradedBy {
		if err := refuseCode(name); err != nil {
			return badf("Health.DegradedBy", "%w", err)
		}
	}
	return nil
}

// Severe returns the notices, of which those whose code is in DegradedBy are degraded.
func (c *HealthConfig) Severe(list models.Notices) models.Notices {
	for i := range list {
		if n := &list[i]; n.Severity == models.Warning && slices.Contains(c.DegradedBy, n.Code) {
			n.Severity = models.Degraded
		}
	}
	return list
}
