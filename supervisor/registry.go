package supervisor

import "github.com/asynkron/protoactor-go/actor"

// registryBuckets is how many of the registry's 1,024 buckets are kept. Each bucket
// has 32 maps, each with its own lock.
const registryBuckets = 8

// Compact makes the registry of an actor system small. Call it before the first use
// of the system. protoactor spreads the names of actors over 32,768 maps, and each
// map keeps the room for its first eight names for ever: 2.5 MB at the start, and
// in time 9 MB more, as actors come and go.
func Compact(sys *actor.ActorSystem) {
	names := sys.ProcessRegistry.LocalPIDs
	all := names.LocalPIDs
	names.LocalPIDs = all[:registryBuckets:registryBuckets]
	for i, bucket := range all {
		if !bucket.IsEmpty() { // Items starts a goroutine for each map, and most have nothing
			for name, process := range bucket.Items() {
				bucket.Remove(name)
				names.GetBucket(name).Set(name, process)
			}
		}
		if i >= registryBuckets {
			all[i] = nil
		}
	}
}
