// Package anchors holds what this project's figures are compared with: the
// limits of the machine (ciphers, loopback TCP), go-libp2p on the same
// machine in the same minute, and prototypes of a message's path with nothing
// in it but the multiplexer, the Noise channel and the hops under question.
//
// All sockets are on 127.0.0.1 and both ends are in this process, so CPU per
// operation covers sender and receiver. A message is a 4-byte big-endian length
// and a body of random bytes.
package anchors
