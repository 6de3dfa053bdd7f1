// Command gamelan runs a node and sends requests to a running one.
//
// gamelan node runs a node. id, status, health, peers, tree, send, listen, messages and
// dht reach it over the Unix socket in its data directory, with the API of package
// inspect. send sends plain messages to one peer, or messages over the DHT with --to and
// --strategy. gamelan config writes, checks and explains the settings. completion and man
// write files made from the model of the command line. gamelan demo shows all of it in one
// process. gamelan interop checks any node, also one of another implementation, against
// the rules of the wire.
//
// Exit codes: 0 success, 1 failure, 2 a mistake in the command line or the settings, 3 no
// node could be reached, 7 of send --kept and --handled: messages are in doubt, and none has failed.
// A verb that INT or TERM ends before its time fails, and says what is known; one that goes on until then has 0.
// Every error is one sentence on standard error that ends with advice; with --json it is a JSON object there.
package main
