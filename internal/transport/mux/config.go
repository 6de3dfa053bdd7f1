package mux

import (
	"errors"
	"fmt"
	"io"
	"log"
	"sync"
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

	// libraryMargin is how much longer the library waits than the write deadline of
	// the connection, so that the deadline comes first. spec: comms 5.5
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

// libraries has the configuration of the library for each write timeout, which sessions share.
var libraries sync.Map // *yamux.Config by time.Duration

// library returns the configuration of the library, which nobody changes. It switches off the keep-alive; the
// limit for an ACK, because peers acknowledge late or never; and the limit for half-closed
// substreams, because the library's own can end the whole session when the peer's end arrives
// at the same moment. This package has its own limit for them.
func (c Config) library() *yamux.Config {
	if shared, ok := libraries.Load(c.WriteTimeout); ok {
		return shared.(*yamux.Config)
	}
	shared, _ := libraries.LoadOrStore(c.WriteTimeout, &yamux.Config{
		AcceptBacklog:          backlog,
		EnableKeepAlive:        false,
		KeepAliveInterval:      30 * time.Second, // checked even when off
		ConnectionWriteTimeout: c.WriteTimeout + libraryMargin,
		MaxStreamWindowSize:    initialWindow, // no body passes through it: see inflow
		StreamOpenTimeout:      0,
		StreamCloseTimeout:     0,
		Logger:                 log.New(io.Discard, "", 0), // it has nothing to say
	})
	return shared.(*yamux.Config)
}
