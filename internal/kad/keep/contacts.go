package keep

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/kad/nativewire"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/kad"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// SaveContacts replaces the contacts on the disk. It writes only what differs from the last
// save or load, in one batch, and does not sync. Contacts of the overlay Native without a claim are left
// out.
func (k *Keeper) SaveContacts(_ context.Context, live []kad.KeptContact, former []kad.KeptFormer) error {
	next := make(map[string]string, len(live)+len(former))
	add := func(kind string, c *kad.Contact, head []byte) {
		if b, ok := appendContact(head, c); ok {
			next[string(k.keys.of(kind, c.ID[:]))] = string(seal(b))
		}
	}
	for i := range live {
		add(kindContact, &live[i].Contact, appendLive(nil, &live[i]))
	}
	for i := range former {
		add(kindFormer, &former[i].Contact, appendFormer(nil, &former[i]))
	}
	k.turn.Lock()
	defer k.turn.Unlock()
	if !k.versioned.Load() {
		if err := k.apply(k.db, new(kv.Batch), true); err != nil {
			return k.written(err)
		}
	}
	err := kv.Reapplied(func(anew bool) (err error) {
		if anew || k.saved == nil { // what is on the disk is not known any more
			if k.saved, err = k.onDisk(); err != nil {
				return err
			}
		}
		b := difference(k.saved, next)
		if b.Len() == 0 {
			return nil
		}
		k.saved = nil
		return k.contacts.Apply(b, false)
	})
	if err != nil {
		return k.written(err)
	}
	k.saved = next
	return nil
}

// onDisk returns the entries of all contacts.
func (k *Keeper) onDisk() (map[string]string, error) {
	found := make(map[string]string)
	for _, kind := range []string{kindContact, kindFormer} {
		entries, scanErr := k.contacts.Scan(k.keys.of(kind, nil))
		for key, value := range entries {
			found[string(key)] = string(value)
		}
		if err := scanErr(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// difference returns the changes that make next of saved.
func difference(saved, next map[string]string) *kv.Batch {
	b := new(kv.Batch)
	for key, value := range next {
		if old, ok := saved[key]; !ok || old != value {
			b.Set([]byte(key), []byte(value))
		}
	}
	for key := range saved {
		if _, ok := next[key]; !ok {
			b.Delete([]byte(key))
		}
	}
	return b
}

// loadContacts adds the saved contacts to kept, former ones in the order in which they were
// lost.
func (k *Keeper) loadContacts(ctx context.Context, kept *kad.Kept) error {
	k.turn.Lock()
	defer k.turn.Unlock()
	saved := make(map[string]string)
	load := func(kind string, add func(id kad.ID, b []byte) bool) error {
		return k.scan(ctx, kind, kept, func(id kad.ID, b []byte) bool {
			ok := add(id, b)
			if ok {
				saved[string(k.keys.of(kind, id[:]))] = string(seal(b))
			}
			return ok
		})
	}
	if err := load(kindContact, adding(&kept.Contacts, decodeLive)); err != nil {
		return err
	}
	if err := load(kindFormer, adding(&kept.Former, decodeFormer)); err != nil {
		return err
	}
	slices.SortStableFunc(kept.Former, func(a, b kad.KeptFormer) int { return a.Lost.Compare(b.Lost) })
	k.saved = saved
	return nil
}

// adding returns a function that decodes an entry and adds it to a list.
func adding[T any](to *[]T, decode func(id kad.ID, b []byte) (T, bool)) func(id kad.ID, b []byte) bool {
	return func(id kad.ID, b []byte) bool {
		x, ok := decode(id, b)
		if ok {
			*to = append(*to, x)
		}
		return ok
	}
}

// A live contact consists of two times, its score, its round-trip time and the variation of
// that in nanoseconds, and the contact.
const liveLen = 2*timeLen + 4 + 8 + 8

func appendLive(b []byte, x *kad.KeptContact) []byte {
	b = appendTime(appendTime(b, x.Since), x.Answered)
	b = binary.BigEndian.AppendUint32(b, uint32(x.Score))
	b = binary.BigEndian.AppendUint64(b, uint64(x.RTT.Smoothed))
	return binary.BigEndian.AppendUint64(b, uint64(x.RTT.Variation))
}

func decodeLive(id kad.ID, b []byte) (x kad.KeptContact, ok bool) {
	if len(b) < liveLen {
		return x, false
	}
	x.Since, x.Answered = timeAt(b), timeAt(b[timeLen:])
	rest := b[2*timeLen:]
	x.Score = int(binary.BigEndian.Uint32(rest))
	x.RTT.Smoothed = time.Duration(binary.BigEndian.Uint64(rest[4:]))
	x.RTT.Variation = time.Duration(binary.BigEndian.Uint64(rest[12:]))
	x.Contact, ok = decodeContact(id, b[liveLen:])
	return x, ok
}

// A former contact consists of two times, its failures, and the contact.
const formerLen = 2*timeLen + 4

func appendFormer(b []byte, x *kad.KeptFormer) []byte {
	return binary.BigEndian.AppendUint32(appendTime(appendTime(b, x.Lost), x.Rest), uint32(x.Failures))
}

func decodeFormer(id kad.ID, b []byte) (x kad.KeptFormer, ok bool) {
	if len(b) < formerLen {
		return x, false
	}
	x.Lost, x.Rest = timeAt(b), timeAt(b[timeLen:])
	x.Failures = int(binary.BigEndian.Uint32(b[2*timeLen:]))
	x.Contact, ok = decodeContact(id, b[formerLen:])
	return x, ok
}

// A contact of the overlay Native is its claim, or, on networks without claims, its key and its
// addresses. One of Seed is its addresses.
const (
	formClaim     = 1
	formAddresses = 2
	formKey       = 3
)

func appendContact(b []byte, c *kad.Contact) ([]byte, bool) {
	switch {
	case c.Claim != nil:
		return nativewire.AppendNode(append(b, formClaim), c.Claim), true
	case len(c.Addresses) == 0:
		return nil, false
	case c.PublicKey.IsZero():
		b = append(b, formAddresses)
	default:
		b = append(append(b, formKey), c.PublicKey[:]...)
	}
	for _, a := range c.Addresses[:min(len(c.Addresses), overlay.MaxAddresses)] {
		b = appendText(b, string(a))
	}
	return b, true
}

func decodeContact(id kad.ID, b []byte) (c kad.Contact, ok bool) {
	if len(b) == 0 {
		return c, false
	}
	form, b := b[0], b[1:]
	if form == formClaim {
		c, err := nativewire.DecodeNode(b)
		return c, err == nil && c.ID == id
	}
	c.ID = id
	if form == formKey {
		if len(b) < len(c.PublicKey) {
			return c, false
		}
		b = b[copy(c.PublicKey[:], b):]
		if c.PublicKey.IsZero() || c.CheckKey() != nil {
			return c, false
		}
		form = formAddresses
	}
	for form == formAddresses && len(b) > 0 && len(c.Addresses) < overlay.MaxAddresses {
		var text string
		if text, b, ok = cutText(b); !ok {
			return c, false
		}
		a, err := overlay.ParseAddress(text)
		if err != nil {
			return c, false
		}
		c.Addresses = append(c.Addresses, a)
	}
	return c, len(c.Addresses) > 0
}
