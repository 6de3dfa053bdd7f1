package config

import (
	"time"

	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/settings"
)

// StoreForwardConfig is the part of a [Config] that says how the node takes part in store
// and forward: nodes store encrypted messages for others that are away. It has no effect
// without the DHT.
//
// spec: dht 11.1
type StoreForwardConfig struct {
	// Makes the node store no further messages for others. What it stores is still handed out until
	// it expires.
	//
	// A node with Config.Client stores nothing in any case.
	NoStore bool

	// Makes the node not ask the nodes that it connects to for messages that they store for it. It
	// still does so on request.
	//
	// Otherwise the node asks each node that may store messages.
	NoRequests bool

	// Makes the node ask a node only for messages that it stored since the last ones that were all
	// handled here. Nodes of Tari then delete all older messages, also those for others.
	//
	// The node asks for those of 5 min before, too. It saves repetitions (spec: dht Q9, Q24).
	SinceLast bool

	// Limits bound what is stored for others.
	Limits StoreForwardLimits
}

// StoreForwardLimits bound what a node stores for others (spec: dht 8.2, 8.4, 8.6, 11.1). A field
// that is 0 has its default. Bytes are counted as an answer to the receiver needs them; each limit
// of them must have room for a message of Message bytes.
type StoreForwardLimits struct {
	// Most messages that are stored for others. Default 100,000.
	//
	// At most 10,000,000; the same applies to the other numbers of messages. Each message needs 210
	// bytes of memory, 230 more if it is the only one for its receiver, and up to 900 more if it is
	// the only one of its source.
	Messages int
	// Most bytes of messages that are stored for others. Default 1 GiB.
	Bytes int64

	// Most stored messages that one connected peer has brought. Default 10,000.
	//
	// The peer need not be their author. The reference has no such limit (Q11).
	SourceMessages int
	// Most bytes of stored messages that one connected peer has brought. Default 128 MiB.
	SourceBytes int64

	// Most messages that are stored for one receiver. Default 2,000.
	DestinationMessages int
	// Most bytes of messages that are stored for one receiver. Default 64 MiB.
	DestinationBytes int64

	// Most messages for one receiver that one connected peer has brought. At this limit they evict
	// each other, and nothing that other peers have brought. Default 500.
	PairMessages int
	// Most bytes of messages for one receiver that one connected peer has brought. Default 16 MiB.
	PairBytes int64

	// Length of the longest message that is stored, encrypted and padded. Default 512 KiB.
	//
	// In bytes, at most 4 MiB. The default is that of the reference.
	Message int

	// How long messages for unknown peers are stored. Default 6 h.
	//
	// From 1 s to 366 days. The default is that of the reference.
	Low time.Duration
	// How long messages for known peers are stored. Receivers that run Gamelan take none that expired
	// more than 72h ago. Default 72 h.
	//
	// From 1 s to 366 days. The default is that of the reference.
	High time.Duration

	// How long a message is stored, and repeated, after its receiver has read it for the first time.
	// Default 5 min.
	//
	// It is counted from the first confirmation, even if Low or High ends before. From 5 min to 366
	// days.
	Grace time.Duration

	// Most messages in one answer to a receiver. Default 50.
	//
	// At most 50: the reference bans a node that sends more.
	Answer int
}

func storeForwardRows() []*settings.Row {
	limits := limitsRows()
	return append([]*settings.Row{
		settings.On("saf.no_store", func(c *StoreForwardConfig) *bool { return &c.NoStore }),
		settings.On("saf.no_requests", func(c *StoreForwardConfig) *bool { return &c.NoRequests }),
		settings.On("saf.since_last", func(c *StoreForwardConfig) *bool { return &c.SinceLast }),
	}, settings.In("Limits", func(c *StoreForwardConfig) *StoreForwardLimits { return &c.Limits }, limits...)...)
}

// limitsRows are the rows of what is stored. A program may set fewer bytes, if they have room for the
// longest message.
func limitsRows() []*settings.Row {
	const least, most = 8 << 20, 1 << 44
	d, program, strict := saf.Default(), settings.Options{FileLeast: true}, settings.Options{Strict: true}
	return []*settings.Row{
		settings.Number("saf.max_messages", func(l *StoreForwardLimits) *int { return &l.Messages }, d.Messages, 1, saf.MostMessages, `20000`),
		settings.Number("saf.max_bytes", func(l *StoreForwardLimits) *int64 { return &l.Bytes }, d.Bytes, least, most, `"4GiB"`).With(program),
		settings.Number("saf.max_source_messages", func(l *StoreForwardLimits) *int { return &l.SourceMessages }, d.SourceMessages, 1, saf.MostMessages, `5000`),
		settings.Number("saf.max_source_bytes", func(l *StoreForwardLimits) *int64 { return &l.SourceBytes }, d.SourceBytes, least, most, `"64MiB"`).With(program),
		settings.Number("saf.max_receiver_messages", func(l *StoreForwardLimits) *int { return &l.DestinationMessages }, d.DestinationMessages, 1, saf.MostMessages, `500`),
		settings.Number("saf.max_receiver_bytes", func(l *StoreForwardLimits) *int64 { return &l.DestinationBytes }, d.DestinationBytes, least, most, `"32MiB"`).With(program),
		settings.Number("saf.max_pair_messages", func(l *StoreForwardLimits) *int { return &l.PairMessages }, d.PairMessages, 1, saf.MostMessages, `200`),
		settings.Number("saf.max_pair_bytes", func(l *StoreForwardLimits) *int64 { return &l.PairBytes }, d.PairBytes, least, most, `"8MiB"`).With(program),
		settings.Bytes("saf.max_body", func(l *StoreForwardLimits) *int { return &l.Message }, d.Message, 6016, saf.MostMessage, `"64KiB"`).With(program),
		settings.Number("saf.keep_known", func(l *StoreForwardLimits) *time.Duration { return &l.High }, d.High, time.Second, saf.MostValidity, `"24h"`).With(strict),
		settings.Number("saf.keep_unknown", func(l *StoreForwardLimits) *time.Duration { return &l.Low }, d.Low, time.Second, saf.MostValidity, `"1h"`).With(strict),
		settings.Number("saf.grace", func(l *StoreForwardLimits) *time.Duration { return &l.Grace }, d.Grace, saf.LeastGrace, saf.MostValidity, `"10m"`).With(strict),
		settings.Number("saf.max_answer", func(l *StoreForwardLimits) *int { return &l.Answer }, d.Answer, 1, saf.MostAnswer, `20`),
	}
}

// checkStoreForward returns an error for each number of bytes that has no room for the longest message.
func (s *Settled) checkStoreForward() (wrong []error) {
	l := s.StoreForward.Limits
	least := saf.Limits(l).LeastBytes()
	for _, limit := range []struct {
		field string
		n     int64
	}{{"Bytes", l.Bytes}, {"SourceBytes", l.SourceBytes}, {"DestinationBytes", l.DestinationBytes}, {"PairBytes", l.PairBytes}} {
		if limit.n >= 0 && limit.n < least {
			wrong = append(wrong, badf("StoreForward.Limits."+limit.field, "%d; it must have room for a message of Message bytes: at least %d", limit.n, least))
		}
	}
	return wrong
}
