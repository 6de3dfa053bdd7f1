// Package store keeps the messages that a node stores for others on the disk (spec: dht
// 8.7).
//
// Each message has two entries: a small head, which a start reads, and its envelope, which
// only an answer needs. A third entry says how often its destination confirmed it.
package store
