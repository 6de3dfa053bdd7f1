// Package dht is the part of the node that carries the messages of the DHT
// between nodes which pass them on. The actors inbound-i judge what comes in, each
// for its share of the peers; outbound sends and passes on; dedup keeps on the disk
// which messages were seen; pinger answers pings. What they decide is in the
// package dht of the same name one level up, which is pure.
package dht
