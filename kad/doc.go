// Package kad runs clients of the key-value DHT as supervised actors. A client stores small
// values at the nodes nearest to their keys, finds them again, and stores values of others.
// Any number of clients live in one process; each belongs to one overlay, and they share
// nothing but the process.
//
//	kad                      Isolate, retry 30 s
//	└── <name>               Restart     a client: its mode, its events
//	    ├── table            writes the routing table and publishes its view
//	    ├── store            records of others and own publications; verifies and persists
//	    ├── upkeep           decides what is probed, refreshed and stored again, and when
//	    ├── lookups          Temporary   equal lookups share one actor; each caller can give up
//	    │   └── <n>          one lookup, and the stores that follow from it
//	    └── gateways         Isolate, retry 30 s
//	        └── <n>          requests under way and answers over one kind of network
//
// The values are those of package kad/overlay. A [Network] connects a gateway to a kind of
// network. [Start] attaches a client to a [Host]: a node, or a [Standalone] tree without one.
//
// spec: kad B13
package kad
