package mux

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/yamux"
)

// Config holds the limits of a session. The zero value of a field is its
// default.
type Config struct {
	// Live substreams of one connection, in both directions together, stay below this number. Peers of
	// release 6.2 end a connection at 128. Default 100. spec: V12
	MaxStreams int

	// Greatest number of live substreams of one connection that the peer has opened; it must be less
	// than [Config.MaxStreams].
	//
	// More are reset. So the peer cannot keep this side from opening any. Default 80. spec: V12
	MaxInbound int

	// Unread bytes that a substream holds before the peer must stop.
	//
	// From 256 KiB to 16 MiB. Default 1 MiB.
	Window uint32

	// How long one write may wait for the network; then the connection ends. 2m is right over Tor. Unless
	// it is set, [Config.StallTimeout] applies to TCP without a proxy. Default 60 s. See also
	// [Config.Direct].
	WriteTimeout time.Duration

	// How long the answer to a ping may take through a proxy; then the connection ends. Direct ones
	// end after 15s without an acknowledgement, or 30s of silence.
	//
	// The ping is [Session.Ping]. Default WriteTimeout + 5 s: a peer may stop reading for 10 s and
	// more.
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

	// Silence after which the empty receive buffers of a connection are released. Default 2 s.
	IdleTimeout time.Duration
}

const (
	minWindow = 256 << 10
	maxWindow = 16 << 20

	// backlog is how many substreams the library lets wait, own ones for their
	// ACK and inbound ones for Accept. It is above every allowed MaxStreams, so
	// that neither an Open nor the reader ever waits for it.
	backlog    = 256
	maxStreams = backlog

	// libraryMargin is how much longer the library waits than the write deadline of
	// the connection, so that the deadline comes first: a window update that the
	// library gives up is lost. spec: comms 5.5
	libraryMargin = 5 * time.Second
)

// WithDefaults returns the config with the defaults in the place of zeros.
func (c Config) WithDefaults() Config {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = 100
	}
	if c.MaxInbound == 0 {
		c.MaxInbound = 80
	}
	if c.Window == 0 {
		c.Window = 1 << 20
	}
	set(&c.WriteTimeout, 60*time.Second)
	set(&c.PingTimeout, c.WriteTimeout+libraryMargin)
	set(&c.StallTimeout, 120*time.Second)
	set(&c.CloseTimeout, 5*time.Minute)
	set(&c.LingerTimeout, 10*time.Second)
	set(&c.IdleTimeout, 2*time.Second)
	return c
}

// ConfigError reports a wrong field of a [Config]. It matches [ErrConfig].
type ConfigError struct {
	Field string // its name
	Text  string // the problem and the remedy
}

func (e *ConfigError) Error() string { return ErrConfig.Error() + ": " + e.Text }

// Is makes every ConfigError match ErrConfig.
func (e *ConfigError) Is(target error) bool { return target == ErrConfig }

// Validate returns all errors of the settings, as joined [*ConfigError]s, or nil.
func (c Config) Validate() error { return c.WithDefaults().validate() }

func (c Config) validate() error {
	var wrong []error
	bad := func(field, format string, values ...any) {
		wrong = append(wrong, &ConfigError{field, fmt.Sprintf(format, values...)})
	}
	if c.MaxInbound < 1 || c.MaxStreams > maxStreams || c.MaxInbound >= c.MaxStreams {
		bad("MaxInbound", "%d streams with %d inbound; set 0 < MaxInbound < MaxStreams <= %d", c.MaxStreams, c.MaxInbound, maxStreams)
	}
	if c.Window < minWindow || c.Window > maxWindow {
		bad("Window", "window of %d bytes; set %d to %d", c.Window, minWindow, maxWindow)
	}
	for _, timeout := range []struct {
		field string
		d     time.Duration
	}{
		{"WriteTimeout", c.WriteTimeout},
		{"PingTimeout", c.PingTimeout},
		{"StallTimeout", c.StallTimeout},
		{"CloseTimeout", c.CloseTimeout},
		{"LingerTimeout", c.LingerTimeout},
		{"IdleTimeout", c.IdleTimeout},
	} {
		if timeout.d < 0 {
			bad(timeout.field, "negative timeout; set 0 for the default")
		}
	}
	return errors.Join(wrong...)
}

// Direct returns the config of a connection whose owner watches it for signs of life. Unless
// WriteTimeout is set, a write on it, and therefore a ping, may wait as long as StallTimeout.
func (c Config) Direct() Config {
	if c.WriteTimeout == 0 {
		c.WriteTimeout = c.WithDefaults().StallTimeout
	}
	c.PingTimeout = c.WithDefaults().PingTimeout
	return c
}

// library returns the configuration of the library. It switches off the keep-alive; the
// limit for an ACK, because peers acknowledge late or never; and the limit for half-closed
// substreams, because the library's own can end the whole session when the peer's end arrives
// at the same moment. This package has its own limit for them.
func (c Config) library(log *journal) *yamux.Config {
	return &yamux.Config{
		AcceptBacklog:          backlog,
		EnableKeepAlive:        false,
		KeepAliveInterval:      30 * time.Second, // checked even when off
		ConnectionWriteTimeout: c.WriteTimeout + libraryMargin,
		MaxStreamWindowSize:    2 * c.Window, // see receiveWindow
		StreamOpenTimeout:      0,
		StreamCloseTimeout:     0,
		Logger:                 log,
	}
}
