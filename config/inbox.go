package config

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/internal/settings"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// InboxConfig are the limits of a durable inbox. A number that is 0 has its
// default.
type InboxConfig struct {
	// Bytes on the disk for messages that are not acknowledged yet, including their metadata.
	// Messages of connected peers take at most three quarters; beyond that their senders wait.
	// Messages over the DHT take at most three quarters, too. A peer has at most half of what is free
	// for them, an author a quarter; further ones are dropped and counted as inbox full. The least
	// value has room for the largest message over the DHT when nothing else is kept.
	//
	// It must be enough for one message of the largest size: see [InboxLeast]. Default 256 MiB.
	MaxBytes int64

	// Number of messages on the disk that are not acknowledged yet. Messages of connected peers, and those
	// over the DHT, take shares of it as of [InboxConfig.MaxBytes]. Each takes about 60 bytes of memory,
	// and up to 300 if every one has another author or topic. Default 100,000.
	MaxMessages int

	// Number of times that a message is handed out before it is shelved. Between two times
	// it rests, from a second up to five minutes: 20 times take an hour. A kill -9 counts. -1: no limit. Default 20.
	MaxAttempts int

	// Types of messages over the DHT that the inbox keeps. The daemon adds the type of its own texts. The node
	// drops types without a receiver.
	//
	// With types each kind leaves a quarter of MaxBytes and MaxMessages to the other one, and a
	// message over the DHT is kept if its peer has not more than half of what is free for
	// such messages, and its author not more than a quarter. Default: none.
	Types []int32
}

// InboxOverhead is the maximum length of a record of the inbox without its body, in bytes.
const InboxOverhead = 136

// InboxLeast returns the minimum of InboxConfig.MaxBytes for a node whose messages have at
// most body bytes: the largest message must fit. With types, which says that there are
// InboxConfig.Types, the largest message over the DHT must fit, too. That takes 8/3 of its
// size, because one message may have half of what such messages may take together.
func InboxLeast(body int, types bool) int64 {
	n := int64(body) + InboxOverhead
	if !types {
		return n
	}
	return (2*n*4 + 2) / 3 // such messages leave a quarter to the others
}

// inboxRows returns the rows of an InboxConfig, in the order of the file.
func inboxRows() []*settings.Row {
	return described("InboxConfig.", []*settings.Row{
		settings.List("dht.types", settings.Types, func(c *InboxConfig) *[]int32 { return &c.Types }, 64, `[225]`).With(settings.Options{Refuse: noPing}),
		settings.Number("inbox.max_bytes", func(c *InboxConfig) *int64 { return &c.MaxBytes }, 256<<20,
			InboxLeast(protocol.Tari(protocol.LocalNet).Limits.MessageBody, true), 1<<40, `"1GiB"`).With(settings.Options{FileLeast: true}), // the least value depends on the rest
		settings.Number("inbox.max_messages", func(c *InboxConfig) *int { return &c.MaxMessages }, 100_000, 1, 10_000_000, `10000`),
		settings.Number("inbox.max_attempts", func(c *InboxConfig) *int { return &c.MaxAttempts }, 20, -1, 255, `5`),
	})
}

func noPing(n int64) error {
	if n == int64(dht.TypePing) {
		return fmt.Errorf("type %d is that of pings, which the node answers itself", n)
	}
	return nil
}

// DefaultInbox returns the zero InboxConfig with its defaults filled in.
func DefaultInbox() InboxConfig {
	var c InboxConfig
	settings.Fill(&c, inboxRows())
	return c
}

// Settle returns the config with its defaults filled in, or what is wrong with it. body is the
// greatest length of a message on the network of the node.
func (c InboxConfig) Settle(body int) (InboxConfig, error) {
	settings.Fill(&c, inboxRows())
	if err := check(&c, inboxRows(), "Inbox."); err != nil {
		return c, err
	}
	if least := InboxLeast(body, len(c.Types) > 0); c.MaxBytes < least {
		return c, badf("Inbox.MaxBytes", "got %d bytes, want at least %d: the largest message must fit", c.MaxBytes, least)
	}
	return c, nil
}
