package safpart

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Trouble returns why messages for others are not stored as they should be. It may be called
// from any goroutine.
func (f *Saf) Trouble() dht.StorageTrouble {
	if t := f.trouble.Load(); t != nil {
		return *t
	}
	return dht.StorageTrouble{}
}

// report writes the view Trouble and publishes an event, if something has changed. While what
// is stored is read for the first time, nothing is known.
func (k *keeper) report(c actor.Context) {
	if k.index == nil && k.err == nil {
		return
	}
	old, now := k.f.Trouble(), dht.StorageTrouble{Full: k.index != nil && k.index.Full(), Err: k.err}
	if old.Full == now.Full && sameText(old.Err, now.Err) {
		return
	}
	if now.Full {
		s := k.index.Stats()
		now.Messages, now.Bytes = s.Messages, s.Bytes
	}
	k.f.trouble.Store(&now)
	if now.Full && !old.Full {
		supervisor.Log(c).Warn("the store of messages for other nodes is full; new ones evict those of the source with most", "n", now.Messages, "bytes", now.Bytes)
	}
	if now.Full || now.Err != nil {
		supervisor.Publish(c, dht.StorageTroubled{StorageTrouble: now})
	} else {
		supervisor.Publish(c, dht.StorageHealed{})
	}
}

// sameText reports whether the errors have the same text.
func sameText(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Error() == b.Error()
}
