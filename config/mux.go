package config

import (
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/settings"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
)

// muxRows are the rows of the multiplexer. Its package fills in the defaults and checks the values.
func muxRows() []*settings.Row {
	type config = mux.Config
	d, filled := mux.Config{}.WithDefaults(), settings.Options{Package: true}
	return []*settings.Row{
		settings.Number("mux.max_streams", func(c *config) *int { return &c.MaxStreams }, d.MaxStreams, 2, 256, `120`).With(filled),
		settings.Number("mux.max_inbound", func(c *config) *int { return &c.MaxInbound }, d.MaxInbound, 1, 255, `48`).With(filled),
		settings.Number("mux.window", func(c *config) *uint32 { return &c.Window }, d.Window, 256<<10, 16<<20, `"512KiB"`).With(filled),
		settings.Number("mux.write_timeout", func(c *config) *time.Duration { return &c.WriteTimeout }, d.WriteTimeout, time.Second, time.Hour, `"2m"`).With(filled),
		settings.Number("mux.ping_timeout", func(c *config) *time.Duration { return &c.PingTimeout }, 0, time.Second, time.Hour, `"2m"`).
			With(settings.Options{Package: true, Dynamic: "mux.write_timeout and 5s"}),
		settings.Number("mux.stall_timeout", func(c *config) *time.Duration { return &c.StallTimeout }, d.StallTimeout, time.Second, time.Hour, `"5m"`).With(filled),
		settings.Number("mux.close_timeout", func(c *config) *time.Duration { return &c.CloseTimeout }, d.CloseTimeout, time.Second, 24*time.Hour, `"1m"`).With(filled),
		settings.Number("mux.linger_timeout", func(c *config) *time.Duration { return &c.LingerTimeout }, d.LingerTimeout, 100*time.Millisecond, time.Hour, `"30s"`).With(filled),
		settings.Number("mux.idle_timeout", func(c *config) *time.Duration { return &c.IdleTimeout }, d.IdleTimeout, 100*time.Millisecond, time.Hour, `"10s"`).With(filled),
	}
}

// checkMux returns an error for each bad field of the multiplexer's config.
func (s *Settled) checkMux() (wrong []error) {
	for _, err := range parts(s.Mux.Validate()) {
		field := "Mux"
		if of, ok := errors.AsType[*mux.ConfigError](err); ok {
			field += "." + of.Field
		}
		wrong = append(wrong, bad(field, err))
	}
	return wrong
}

// parts returns the errors that were joined.
func parts(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return nil
}
