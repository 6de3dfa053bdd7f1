// Package seednode emulates a node of the network that the overlay Seed of package kad/overlay
// belongs to: the small program with its UDP protocol, its rules and its defects
// (docs/conformance/kad.md). Tests talk to it, and let nodes of both kinds form one network.
//
// It was written from the description of that program alone, and uses nothing of Gamelan:
// neither the codec nor the addresses nor the table. So it agrees with Gamelan only where
// both agree with the description.
//
// The defects that others can see are here: a PONG has a message id of its own; an id of
// another length than 20 bytes, or a listed onion address, crashes the node, which keeps its
// socket and is silent from then on; a change of the table's size starts a lookup for each
// bucket; a lookup ends while requests are under way; the nearest peers are not exactly the
// nearest; the address of a known id never changes; and, with [Config.Slow], at most one
// datagram leaves for each one received or each 20 ms.
package seednode
