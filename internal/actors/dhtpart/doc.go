// Package dhtpart is the part of the node that sends, receives and relays the messages of
// the DHT. Each of the actors inbound-<i> judges the messages of its share of the peers.
// The actor outbound sends and relays messages, dedup stores on disk which messages were
// seen, and pinger sends and answers pings. The pure package
// [github.com/gamelan-p2p/gamelan/dht] makes the decisions; these actors carry them out.
package dhtpart
