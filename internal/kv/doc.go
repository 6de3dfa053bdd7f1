// Package kv is the node's embedded, ordered key-value store: small values,
// atomic batches, scans by prefix. [OpenPebble] keeps it in a directory,
// [Memory] in memory; both pass the suite of package kvtest.
//
// It is the only package that touches a store's files. Its calls block on the
// disk, so actors make them in tasks.
//
// A batch that was applied with sync is on the disk when Apply returns and
// survives the loss of power; this is what "acknowledged" means in this
// project. One applied without sync survives the end of the process once the
// operating system has it, and is lost at worst with everything written after
// it. Concurrent Apply calls share one sync.
//
// Several parts of a node write to one store, each through a [Client] of its
// own. A store whose disk has failed is opened anew by the next write, and each
// client hears of that by itself.
package kv
