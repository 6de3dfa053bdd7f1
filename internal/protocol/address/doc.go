// Package address checks peer addresses: which bytes are an address, which
// addresses a claim may hold, which of them are worth keeping, and which a node may
// advertise.
//
// It separates three faults, because the consequences for a peer differ
// (spec: comms 2.6, 7.4; V3, V4, V6):
//
//   - Bytes that are no multiaddr ([ErrUnparsable]): the connection fails,
//     without ban.
//   - A multiaddr of the wrong structure ([ErrMalformed]): a ban of 2 h.
//   - A well-formed address that is not [Usable]: it is dropped, and nothing else
//     happens.
//
// Errors never repeat an address: a peer chose it.
package address
