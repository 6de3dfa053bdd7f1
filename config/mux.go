package config

import (
	"errors"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/settings"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
)

// MuxConfig is the part of a [Config] that limits the multiplexer of each connection: its substreams,
// its memory and its waits. The zero value of a field is its default.
type MuxConfig struct {
	// Live substreams of one connection, in both directions together, stay below this number. Peers of
	// release 6.2 end a connection at 128. Default 100. spec: V12
	MaxStreams int

	// Greatest number of live substreams of one connection that the peer has opened; it must be less
	// than [MuxConfig.MaxStreams].
	//
	// More are reset. So the peer cannot keep this side from opening any. Default 80. spec: V12
	MaxInbound int

	// Unread bytes that a substream holds before the peer must stop.
	//
	// From 256 KiB to 16 MiB. Default 1 MiB.
	Window uint32

	// How long one write may wait for the network; then the connection ends. 2m is right over Tor. Unless
	// it is set, [MuxConfig.StallTimeout] applies to TCP without a proxy. Default 60 s.
	WriteTimeout time.Duration

	// How long the answer to a ping may take through a proxy; then the connection ends. Direct ones
	// end after 15s without an acknowledgement, or 30s of silence.
	//
	// Default WriteTimeout + 5 s: a peer may stop reading for 10 s and more.
	PingTimeout time.Duration

	// How long a substream waits for its peer to take at least one byte. Default 120 s. spec: V13
	StallTimeout time.Duration

	// How long a substream whose own half is closed waits for the peer's half.
	//
	// Then it is reset. Default 5 min. spec: comms 69
	CloseTimeout time.Duration

	// How long a substream that was closed after the end of its own half waits for the peer's half.
	//
	// Then it is reset. Default 10 s.
	LingerTimeout time.Duration
}

// muxRows are the rows of the multiplexer. Its package fills in the defaults and checks the values.
func muxRows() []*settings.Row {
	d, filled := MuxConfig(mux.Config{}.WithDefaults()), settings.Options{Package: true}
	return []*settings.Row{
		settings.Number("mux.max_streams", func(c *MuxConfig) *int { return &c.MaxStreams }, d.MaxStreams, 2, 256, `120`).With(filled),
		settings.Number("mux.max_inbound", func(c *MuxConfig) *int { return &c.MaxInbound }, d.MaxInbound, 1, 255, `48`).With(filled),
		settings.Number("mux.window", func(c *MuxConfig) *uint32 { return &c.Window }, d.Window, 256<<10, 16<<20, `"512KiB"`).With(filled),
		settings.Number("mux.write_timeout", func(c *MuxConfig) *time.Duration { return &c.WriteTimeout }, d.WriteTimeout, time.Second, time.Hour, `"2m"`).With(filled),
		settings.Number("mux.ping_timeout", func(c *MuxConfig) *time.Duration { return &c.PingTimeout }, 0, time.Second, time.Hour, `"2m"`).
			With(settings.Options{Package: true, Dynamic: "mux.write_timeout and 5s"}),
		settings.Number("mux.stall_timeout", func(c *MuxConfig) *time.Duration { return &c.StallTimeout }, d.StallTimeout, time.Second, time.Hour, `"5m"`).With(filled),
		settings.Number("mux.close_timeout", func(c *MuxConfig) *time.Duration { return &c.CloseTimeout }, d.CloseTimeout, time.Second, 24*time.Hour, `"1m"`).With(filled),
		settings.Number("mux.linger_timeout", func(c *MuxConfig) *time.Duration { return &c.LingerTimeout }, d.LingerTimeout, 100*time.Millisecond, time.Hour, `"30s"`).With(filled),
	}
}

// checkMux returns an error for each bad field of the multiplexer's config.
func (s *Settled) checkMux() (wrong []error) {
	for _, err := range parts(mux.Config(s.Mux).Validate()) {
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
