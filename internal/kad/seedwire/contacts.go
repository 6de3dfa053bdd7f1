package seedwire

import (
	"bytes"
	"strings"

	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// longestAddress is longer than the text of any address of IP and UDP, with all the zeros
// that an IPv6 address can be written with.
const longestAddress = 64

// listed returns the address of a listed contact: IP and UDP, in the one form that the
// node uses. Others are of no use on this wire, and the seed stops over some of them.
func listed(text []byte) (overlay.Address, bool) {
	if len(text) > longestAddress || !bytes.HasPrefix(text, []byte("/ip")) {
		return "", false
	}
	a, err := overlay.ParseAddress(string(text))
	if err != nil {
		return "", false
	}
	return a, strings.HasSuffix(a.Protocols(), "/udp")
}

// Asker is the receiver of a list of contacts.
type Asker struct {
	ID      overlay.ID
	Address overlay.Address // as its datagram came from there
}

// Select returns those of the contacts, which are in the order of preference, that a list
// for the asker may hold (spec: kad A9.5): each with one address of UDP and of the
// asker's version of IP; no loopback, link-local or private address for an asker with a
// public one; neither the asker nor self. There are at most limit, and their datagram has at
// most size bytes, and never more than [MaxList].
func (c Codec) Select(contacts []overlay.Contact, asker Asker, self overlay.ID, limit, size int) []overlay.Contact {
	family, public := asker.Address.Protocols(), asker.Address.Public()
	room := min(size, MaxList) - c.header() - lengthSize
	var list []overlay.Contact
	for i := range contacts {
		at := &contacts[i]
		if len(list) >= limit {
			break
		}
		if at.ID == asker.ID || at.ID == self {
			continue
		}
		for _, a := range at.Addresses {
			if a.Protocols() != family || a == asker.Address || public && !a.Public() {
				continue
			}
			if n := c.contact(a); n <= room {
				room -= n
				list = append(list, overlay.SeedContact(at.ID, a))
			}
			break
		}
	}
	return list
}
