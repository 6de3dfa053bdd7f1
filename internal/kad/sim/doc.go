// Package sim runs a network of the key-value DHT in one goroutine: the routing table,
// lookups, requests, stores and upkeep are those of a real node, only the actors and the
// wires between them are replaced.
//
// Everything is decided by the seed: the same [Config] gives the same [Result], whatever
// the machine does. Time is the model's, so an hour takes seconds and every number may gate
// a build.
//
// A simulation has nodes that leave without a word and are replaced by new ones, loss,
// latency that differs from pair to pair, a partition that heals, nodes that collude, and
// nodes that only ask. Nodes are asked for records that were published in the beginning and
// for the neighbours of random ids; a search for neighbours is compared with the true ones.
//
// spec: kad B16
package sim
