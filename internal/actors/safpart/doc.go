// Package safpart is the part of the node for store and forward. The actor keeper stores
// encrypted messages for nodes that are away, and hands them out on request. The actor
// client asks other nodes for the messages that they store for this node (spec: dht 8).
//
// The decisions are in package internal/dht/saf, the messages on the disk in package store.
package safpart
