package mux

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/hashicorp/yamux"
)

// Config holds the limits of a session. The zero value of a field is its default, see
// [Config.WithDefaults]. config.MuxConfig, which is converted to it, explains each field.
type Config struct {
	MaxStreams int // above all live substreams. spec: V12
	MaxInbound int // live ones that the peer has opened; below MaxStreams. spec: V12

	Window uint32 // unread bytes of a substream

	WriteTimeout  time.Duration // of one write; see also [Config.Direct]
	PingTimeout   time.Duration // of [Session.Ping]
	StallTimeout  time.Duration // until the peer takes a byte. spec: V13
	CloseTimeout  time.Duration // after the end of the own half. spec: comms 69
	LingerTimeout time.Duration // after the end of the own half and Close
}

const (
	minWindow = 256 << 10
	maxWindow = 16 << 20

	// backlog is how many substreams of the peer may wait for their owner, and how many
	// the library would let wait, own ones for their ACK. It is told of an ACK before
	// there are so many, so that no Open waits for it on a session that reads.
	backlog    = 128
	maxStreams = 256

	// pingMargin is how much longer a ping waits than a write, so that the error of the write
	// comes first. spec: comms 5.5
	pingMargin = 5 * time.Second
)

// WithDefaults returns the config with the defaults in the place of zeros.
func (c Config) WithDefaults() Config {
	c.MaxStreams = cmp.Or(c.MaxStreams, 100)
	c.MaxInbound = cmp.Or(c.MaxInbound, 80)
	c.Window = cmp.Or(c.Window, 1<<20)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 60*time.Second)
	c.PingTimeout = cmp.Or(c.PingTimeout, c.WriteTimeout+pingMargin)
	c.StallTimeout = cmp.Or(c.StallTimeout, 120*time.Second)
	c.CloseTimeout = cmp.Or(c.CloseTimeout, 5*time.Minute)
	c.LingerTimeout = cmp.Or(c.LingerTimeout, 10*time.Second)
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
func (c Config) Validate() error {
	c = c.WithDefaults()
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
	timeout := func(field string, d time.Duration) {
		if d < 0 {
			bad(field, "negative timeout; set 0 for the default")
		}
	}
	timeout("WriteTimeout", c.WriteTimeout)
	timeout("PingTimeout", c.PingTimeout)
	timeout("StallTimeout", c.StallTimeout)
	timeout("CloseTimeout", c.CloseTimeout)
	timeout("LingerTimeout", c.LingerTimeout)
	return errors.Join(wrong...)
}

// Direct returns the config of a connection whose owner watches it for signs of life. Unless
// WriteTimeout is set, a write on it, and therefore a ping, may wait as long as StallTimeout.
func (c Config) Direct() Config {
	c.WriteTimeout = cmp.Or(c.WriteTimeout, c.WithDefaults().StallTimeout)
	return c.WithDefaults()
}

// libraryConfig is the configuration of the library. It switches off the keep-alive; the limit for an
// ACK, because peers acknowledge late or never; and the limit for half-closed substreams, because
// the library's own can end the whole session when the peer's end arrives at the same moment.
// This package has its own limit for them.
var libraryConfig = &yamux.Config{
	AcceptBacklog:          backlog,
	EnableKeepAlive:        false,
	KeepAliveInterval:      30 * time.Second,           // checked even when off
	ConnectionWriteTimeout: time.Hour,                  // a session takes what it writes at once
	MaxStreamWindowSize:    initialWindow,              // no body passes through it: see inflow
	Logger:                 log.New(io.Discard, "", 0), // it has nothing to say
}
