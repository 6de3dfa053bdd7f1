// Package comms carries the key-value DHT over the connections of a node (spec: kad B11). It
// is a [kad.Network] of the overlay Native: peers are who their connection's handshake has
// proved them to be.
//
// The side that asks opens a substream when it needs one, and closes it after a minute in
// which nothing was asked. Answers come back on it, in any order. So between two nodes there
// are at most two such substreams, one for each direction.
package comms
