// Package udp is a datagram socket with limits: what waits to be sent is bounded, answers
// leave before everything else, and a datagram that is too long is an error. It knows
// nothing of what the datagrams mean.
//
// A [Socket] has two loops, which the caller runs on goroutines of its own: [Socket.Receive]
// waits for the next datagram, and [Socket.Transmit] sends what [Socket.Send] has queued.
// Neither waits for the other.
//
// A socket that is bound to all addresses of the machine answers from the address that a
// datagram came to, because the asker waits for the answer from there. That works on Linux.
// Elsewhere the system chooses the address: bind one address.
package udp
