// Package peerstore knows the peers: their keys, addresses with statistics,
// signed claims and bans.
//
// All of it is in memory; a key-value store below keeps it. There is one writer,
// which calls the methods of [Store], and any number of readers, which use its
// [View]. A change is visible to readers at once. It is on the disk after the
// [Batch] that holds it was committed with sync; only then may it be
// acknowledged. Nothing but Open and Commit touches the disk, so both belong on
// a goroutine of their own.
//
// spec: comms 1.5, 12; V4, V5, V10, V11, V31.
package peerstore
