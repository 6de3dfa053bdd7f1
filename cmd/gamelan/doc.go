// Command gamelan runs a node and talks to one that runs.
//
// gamelan node runs it; id, status, health, peers, tree, send, listen, messages
// and dht reach it over the Unix socket in its data directory, which speaks the
// API of package inspect. send speaks plainly to one peer, or with --to and
// --strategy over the DHT. gamelan config makes, checks and explains the settings;
// completion and man are written from the model of the command line.
// gamelan demo shows all of it in one process. gamelan interop needs no node of
// ours: it checks any node against the rules of the wire.
//
// Exit codes: 0 all went well, 1 it failed, 2 the command line was wrong,
// 3 no node could be reached. Every error is one sentence on standard error
// that ends with what to do next; with --json it is a JSON object there.
package main
