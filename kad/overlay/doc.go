// Package overlay holds the values of the key-value DHT: ids and keys, their distance,
// addresses, contacts, records and messages, what a lookup and a put report, the view of a
// routing table, and limits. The state machines and the codecs are internal.
//
// The DHT is a Kademlia network, and has nothing but the exclusive or in common with
// the DHT that relays messages (package dht): other ids, other peers, other bytes. A
// client of it belongs to exactly one of two overlays. [Native] has authenticated
// contacts and records that nobody can forge. [Seed] is the network of the small
// program that the DHT began as, whose UDP protocol it keeps to the byte.
//
//	kad/overlay         values, and the errors of both codecs
//	internal/kad
//	├── seedwire        datagrams of the overlay Seed
//	├── nativewire      messages of the overlay Native
//	├── record          signs records, checks them, and says which of two is newer
//	├── values          what a node stores of others: quotas, expiry, replication
//	├── limit           rates of requests, penalties, and proofs that an address is its sender's
//	├── table           routing table
//	├── lookup          finds the nodes nearest to a target, and values
//	├── put             stores a record at the nodes nearest to its key
//	├── requests        requests under way: timeouts and repetitions
//	├── gateway         what a gateway answers, and what it believes
//	├── upkeep          when to probe, to refresh and to publish again
//	└── sim             many nodes in one goroutine
//
// All of them are pure: no goroutine, socket, disk or clock. A machine takes the time
// and an event, and returns what is to be done; randomness is an argument. One
// goroutine at a time may use a machine.
//
// Users can exchange:
//
//   - the hash that makes keys in the overlay Seed: [Hasher];
//   - the network below: a gateway delivers and sends [Packet] values, and owns their
//     encoding. The two codecs are the ones of the gateways that come with Gamelan.
//
// Byte slices in decoded values point into the input. Values are not changed after they
// were given to somebody else.
package overlay
