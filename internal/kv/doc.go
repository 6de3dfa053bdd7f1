// Package kv is the node's embedded, ordered key-value store: small values,
// atomic batches, scans by prefix. [OpenPebble] keeps it in a directory,
// [Memory] in memory; both pass the suite of package kvtest. A program that is built
// with the tag nodisk has the second only, see [Available].
//
// It is the only package that touches a store's files. Its calls block on the
// disk, so actors make them in tasks.
//
// A batch that was applied with sync is on the disk when Apply returns and
// survives the loss of power; "acknowledged" means this in Gamelan. A batch that was
// applied without sync survives the end of the process once the operating system has
// it. If it is lost, everything written after it is lost too. Concurrent Apply calls
// share one sync.
//
// Several parts of a node write to one store, each through its own [Client]. After
// the disk has failed, the next write opens the store anew, and each client learns
// of that from its own next Apply.
package kv
