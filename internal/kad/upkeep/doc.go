// Package upkeep decides what a node of the key-value DHT does of its own accord, and when:
// how it enters the network, how it keeps its routing table complete, how it finds the
// network again after a partition, and when records are stored anew.
//
// A [Machine] gets events, such as a contact that was lost, and returns effects, such as a
// lookup to begin. It has no clock and no goroutine. It is made of parts that share its
// timer:
//
//	bootstrap   from the first probe to a complete table; again whenever the table is empty
//	refresh     lookups of this node's own id, and of ranges that no lookup has touched
//	former      contacts that were lost, and bootstrap addresses, probed for ever
//	half-life   how long contacts live, from those that were lost
//	held        records of others: stored again at the nodes nearest to their keys
//	own         records of this node: published again
//
// A change of the size of the table alone starts nothing.
//
// spec: kad B4.9, B5, B9.3, B9.4
package upkeep
