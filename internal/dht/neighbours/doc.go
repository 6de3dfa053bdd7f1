// Package neighbours decides to which nodes a node of the DHT stays connected of its own
// accord: its neighbours, which are the nodes nearest to it, and some random ones. Random
// nodes connect the parts of a network whose nodes all know their neighbourhood only.
//
// A [Machine] gets events, such as a connection or a failed dial, and returns effects, such
// as a dial. It has no clock and no goroutine. One event costs as much as the sets are
// large, however many nodes are known: candidates come from a [View], which is asked for
// the few nearest to a point.
//
// The neighbours are the nearest nodes among the connected ones. While a known node is
// nearer than one of them, it is dialled, and when it connects the farthest neighbour
// leaves. So the set becomes the true neighbourhood without a dial to every known node. The
// random set consists of nodes drawn at random. A neighbour that leaves fills a gap there
// until enough drawn nodes are connected.
//
// spec: dht 10.2; V 26
package neighbours
