// Package discoverypart is the part of the node by which the network finds itself. The actor
// join announces this node and hears the announcements of others. The actor search finds
// the holder of a key. The actor netsync learns peers from the peer lists of other nodes,
// first of all of the seeds. The actor neighbours keeps the node connected to the nodes
// closest to it and to some at random. The service t/dht/1 hands out the peers that this
// node knows (spec: dht 7, 9, 10).
//
// The decisions are in packages internal/dht/discovery, internal/dht/netsync and internal/dht/neighbours.
package discoverypart
