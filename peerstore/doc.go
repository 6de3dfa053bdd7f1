// Package peerstore stores the known peers: their keys, addresses with statistics,
// signed claims and bans.
//
// All records are in memory; a key-value store keeps them on the disk. There is one
// writer, which calls the methods of [Store], and any number of readers, which use its
// [View]. A change is visible to readers at once. It is on the disk after the
// [Batch] that holds it was committed with sync; only then may it be
// acknowledged. Only Open and Commit touch the disk; call them on a separate
// goroutine.
//
// spec: comms 1.5, 12; V4, V5, V10, V11, V31.
package peerstore
