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

	// Limits bound what is stored for others. A number that is 0 has its default, which is
	// that of [saf.Default].
	Limits saf.Limits
}

func storeForwardRows() []*settings.Row {
	limits := limitsRows()
	return append([]*settings.Row{
		settings.On("saf.no_store", func(c *StoreForwardConfig) *bool { return &c.NoStore }),
		settings.On("saf.no_requests", func(c *StoreForwardConfig) *bool { return &c.NoRequests }),
		settings.On("saf.since_last", func(c *StoreForwardConfig) *bool { return &c.SinceLast }),
	}, settings.In("Limits", func(c *StoreForwardConfig) *saf.Limits { return &c.Limits }, limits...)...)
}

// limitsRows are the rows of what is stored. A program may set fewer bytes, if they have room for the
// longest message.
func limitsRows() []*settings.Row {
	type limits = saf.Limits
	const least, most = 8 << 20, 1 << 44
	d, program, strict := saf.Default(), settings.Options{FileLeast: true}, settings.Options{Strict: true}
	return []*settings.Row{
		settings.Number("saf.max_messages", func(l *limits) *int { return &l.Messages }, d.Messages, 1, saf.MostMessages, `20000`),
		settings.Number("saf.max_bytes", func(l *limits) *int64 { return &l.Bytes }, d.Bytes, least, most, `"4GiB"`).With(program),
		settings.Number("saf.max_source_messages", func(l *limits) *int { return &l.SourceMessages }, d.SourceMessages, 1, saf.MostMessages, `5000`),
		settings.Number("saf.max_source_bytes", func(l *limits) *int64 { return &l.SourceBytes }, d.SourceBytes, least, most, `"64MiB"`).With(program),
		settings.Number("saf.max_receiver_messages", func(l *limits) *int { return &l.DestinationMessages }, d.DestinationMessages, 1, saf.MostMessages, `500`),
		settings.Number("saf.max_receiver_bytes", func(l *limits) *int64 { return &l.DestinationBytes }, d.DestinationBytes, least, most, `"32MiB"`).With(program),
		settings.Number("saf.max_pair_messages", func(l *limits) *int { return &l.PairMessages }, d.PairMessages, 1, saf.MostMessages, `200`),
		settings.Number("saf.max_pair_bytes", func(l *limits) *int64 { return &l.PairBytes }, d.PairBytes, least, most, `"8MiB"`).With(program),
		settings.Bytes("saf.max_body", func(l *limits) *int { return &l.Message }, d.Message, 6016, saf.MostMessage, `"64KiB"`).With(program),
		settings.Number("saf.keep_known", func(l *limits) *time.Duration { return &l.High }, d.High, time.Second, saf.MostValidity, `"24h"`).With(strict),
		settings.Number("saf.keep_unknown", func(l *limits) *time.Duration { return &l.Low }, d.Low, time.Second, saf.MostValidity, `"1h"`).With(strict),
		settings.Number("saf.grace", func(l *limits) *time.Duration { return &l.Grace }, d.Grace, saf.LeastGrace, saf.MostValidity, `"10m"`).With(strict),
		settings.Number("saf.max_answer", func(l *limits) *int { return &l.Answer }, d.Answer, 1, saf.MostAnswer, `20`),
	}
}

// checkStoreForward returns an error for each number of bytes that has no room for the longest message.
func (s *Settled) checkStoreForward() (wrong []error) {
	l := &s.StoreForward.Limits
	for _, limit := range []struct {
		field string
		n     int64
	}{{"Bytes", l.Bytes}, {"SourceBytes", l.SourceBytes}, {"DestinationBytes", l.DestinationBytes}, {"PairBytes", l.PairBytes}} {
		if least := l.LeastBytes(); limit.n >= 0 && limit.n < least {
			wrong = append(wrong, badf("StoreForward.Limits."+limit.field, "%d; it must have room for a message of Message bytes: at least %d", limit.n, least))
		}
	}
	return wrong
}
