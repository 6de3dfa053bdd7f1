package socks

import "fmt"

// Code is the code of a proxy's reply to a request.
type Code byte

// Codes of RFC 1928, and from 0xF0 on those that Tor sends on a port with ExtendedErrors.
const (
	Succeeded          Code = 0x00
	GeneralFailure     Code = 0x01
	NotAllowed         Code = 0x02
	NetworkUnreachable Code = 0x03
	HostUnreachable    Code = 0x04
	Refused            Code = 0x05
	Expired            Code = 0x06 // time to live; Tor: its own time limit of a stream, 120 s
	NoSuchCommand      Code = 0x07
	NoSuchAddressType  Code = 0x08

	OnionNotFound          Code = 0xF0 // no descriptor
	OnionInvalid           Code = 0xF1 // a descriptor that cannot be read
	OnionIntroFailed       Code = 0xF2
	OnionRendezvousFailed  Code = 0xF3
	OnionClientAuthMissing Code = 0xF4
	OnionClientAuthWrong   Code = 0xF5
	OnionBadAddress        Code = 0xF6
	OnionIntroTimedOut     Code = 0xF7
)

// codes says what each code means: its text, and its cause.
var codes = map[Code]struct {
	text  string
	cause Cause
}{
	Succeeded:          {"succeeded", CauseUnknown},
	GeneralFailure:     {"general failure", CauseGeneral},
	NotAllowed:         {"not allowed by the proxy's rules", CauseNotAllowed},
	NetworkUnreachable: {"network unreachable", CauseUnreachable},
	HostUnreachable:    {"host unreachable", CauseUnreachable},
	Refused:            {"connection refused", CauseRefused},
	Expired:            {"no answer in time", CauseTimeout},
	NoSuchCommand:      {"command not supported", CauseUnsupported},
	NoSuchAddressType:  {"kind of address not supported", CauseUnsupported},

	OnionNotFound:          {"onion service not published", CauseNotPublished},
	OnionInvalid:           {"onion service with an invalid descriptor", CauseNotPublished},
	OnionIntroFailed:       {"introduction to the onion service failed", CauseIntroduction},
	OnionRendezvousFailed:  {"rendezvous with the onion service failed", CauseIntroduction},
	OnionClientAuthMissing: {"onion service wants a client key", CauseNotAllowed},
	OnionClientAuthWrong:   {"onion service refuses the client key", CauseNotAllowed},
	OnionBadAddress:        {"invalid onion address", CauseAddress},
	OnionIntroTimedOut:     {"introduction to the onion service timed out", CauseTimeout},
}

// String returns the meaning and the number.
func (c Code) String() string {
	if known, ok := codes[c]; ok {
		return fmt.Sprintf("%s (code 0x%02X)", known.text, byte(c))
	}
	return fmt.Sprintf("unknown code 0x%02X", byte(c))
}

// cause returns what the code means for a request for to. On a port without ExtendedErrors
// Tor answers 0x04 for an onion service that is not published.
func (c Code) cause(to destination) Cause {
	if c == HostUnreachable && to.onion {
		return CauseNotPublished
	}
	if known, ok := codes[c]; ok {
		return known.cause
	}
	return CauseGeneral
}
