// Package torconn connects to the control port of a Tor and reads its replies. Package tor
// decides what to say there.
//
// spec: comms 13.1
package torconn
