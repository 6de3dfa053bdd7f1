package models

// Traffic is the content of the section "traffic": messages, dials and connections since the node's
// start.
type Traffic struct {
	Messages    []TrafficMessages  `json:"messages"` // by kind
	Sent        []TrafficSent      `json:"sent"`     // messages of the program to peers, by how they ended
	SendTook    Histogram          `json:"send_took" rank:"3" unit:"s" metric:"send_duration_seconds" help:"Time from the call that sends a message until its peer has read it; those that actors send, and those to be kept or handled, are not timed."`
	Dials       []TrafficDials     `json:"dials"`
	Connections TrafficConnections `json:"connections"`
}

// TrafficMessages counts the messages of one kind: plain, dht, with-ids (those that are to be kept or
// handled, or have a topic) or answers (what became of these).
type TrafficMessages struct {
	Kind     string `json:"kind" by:"kind"`
	In       uint64 `json:"in" metric:"messages_total" with:"direction=in" help:"Messages between this node and its peers, read from substreams or written to them, with those that it relays."`
	Out      uint64 `json:"out" metric:"messages_total" with:"direction=out"`
	BytesIn  uint64 `json:"bytes_in" metric:"message_bytes_total" with:"direction=in" help:"Bytes of the messages between this node and its peers."`
	BytesOut uint64 `json:"bytes_out" metric:"message_bytes_total" with:"direction=out"`
}

// TrafficSent counts messages of the program that have ended in one way. Those over the DHT are in the
// section "dht".
type TrafficSent struct {
	Outcome string `json:"outcome" by:"outcome"`
	Reason  string `json:"reason" by:"reason"` // "none" for those that are confirmed
	Count   uint64 `json:"count" metric:"sends_total" help:"Messages that the program has sent to peers, by how they ended."`
}

// TrafficDials counts dials that have ended in one way.
type TrafficDials struct {
	Result string `json:"result" by:"result"` // connected, cancelled or failed
	Stage  string `json:"stage" by:"stage"`   // at which the last address failed
	Count  uint64 `json:"count" metric:"dials_total" help:"Dials of peers, by their result and the stage at which the last address failed."`
}

// TrafficConnections counts connections.
type TrafficConnections struct {
	Inbound  uint64          `json:"inbound" metric:"connections_opened_total" with:"direction=in" help:"Connections that were set up."`
	Outbound uint64          `json:"outbound" metric:"connections_opened_total" with:"direction=out"`
	Closed   []TrafficClosed `json:"closed"`
	BytesIn  uint64          `json:"bytes_in" metric:"connection_bytes_total" with:"direction=in" help:"Bytes on connections, with the headers of the multiplexer and without those of encryption."`
	BytesOut uint64          `json:"bytes_out" metric:"connection_bytes_total" with:"direction=out"`
}

// TrafficClosed counts connections that have ended in one way.
type TrafficClosed struct {
	Cause string `json:"cause" by:"cause"` // "requested", "no answer", …
	By    string `json:"by" by:"side"`     // us, peer or network
	Count uint64 `json:"count" metric:"connections_closed_total" help:"Connections that have ended, by the cause and the side that ended them."`
}
