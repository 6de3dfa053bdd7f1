// Package discovery decides how a node finds peers and is found: which claims about
// peers it accepts, what it does with received Join, Discovery and DiscoveryResponse
// messages, when it joins the network by itself, and how it searches for the holder of
// a key (spec: dht 7, 10.4, 10.5).
//
// The package is pure: it gets the time and randomness as arguments, and returns
// decisions that the actors of the node carry out.
package discovery
