package supervisor

import "github.com/asynkron/protoactor-go/actor"

// registryBuckets is how many of the registry's 1,024 buckets are kept; each has
// 32 maps with a lock of their own.
const registryBuckets = 8

// Compact makes the registry of an actor system small. The library spreads the
// names of actors over 32,768 maps, of which each keeps the room for its first
// eight names for ever: 2.5 MB at the start, and 9 MB more by and by, as actors
// come and go. A system must be compacted before anybody uses it.
func Compact(sys *actor.ActorSystem) {
	names := sys.ProcessRegistry.LocalPIDs
	all := names.LocalPIDs
	names.LocalPIDs = all[:registryBuckets:registryBuckets]
	for i, bucket := range all {
		for name, process := range bucket.Items() {
			bucket.Remove(name)
			names.GetBucket(name).Set(name, process)
		}
		if i >= registryBuckets {
			all[i] = nil
		}
	}
}
