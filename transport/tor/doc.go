// Package tor has what a node decides about Tor, as an external program: the lines of its
// control protocol, the keys and addresses of onion services, and [Controller], a machine
// that keeps a set of services published through whatever happens to Tor and to the control
// connection. It opens no socket and reads no file.
//
// Files: reply.go reads what Tor says, command.go writes what it is told, auth.go has the four
// kinds of authentication, key.go and identity.go keys and the file with one, controller.go
// and its events.go, services.go and status.go the machine.
//
// Dials go through package socks.
//
// spec: comms 13
package tor
