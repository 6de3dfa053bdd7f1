package supervisor

import (
	"strconv"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// registryBuckets is how many of the registry's 1,024 buckets are kept. Each bucket
// has 32 maps, each with its own lock.
const registryBuckets = 8

// Compact makes the registry of an actor system small. Call it before the first use
// of the system. protoactor spreads the names of actors over 32,768 maps, and each
// map keeps the room for its first eight names for ever: 2.5 MB at the start, and
// in time 9 MB more, as actors come and go.
func Compact(sys *actor.ActorSystem) {
	if strconv.IntSize == 32 {
		fit32(sys)
		return
	}
	keepBuckets(sys, registryBuckets)
}

// fitting guards fit32 when two trees start on one system.
var fitting sync.Mutex

// fit32 leaves a registry one bucket. protoactor converts the hash of a name to an int and
// takes the rest of its division by the number of buckets as an index. Where an int has 32
// bits, half of these rests are negative, unless there is one bucket.
func fit32(sys *actor.ActorSystem) {
	fitting.Lock()
	defer fitting.Unlock()
	if len(sys.ProcessRegistry.LocalPIDs.LocalPIDs) > 1 {
		keepBuckets(sys, 1)
	}
}

// keepBuckets moves the names of all buckets of a registry to the first n, and drops the others.
func keepBuckets(sys *actor.ActorSystem, n int) {
	names := sys.ProcessRegistry.LocalPIDs
	all := names.LocalPIDs
	names.LocalPIDs = all[:n:n]
	for i, bucket := range all {
		if !bucket.IsEmpty() { // Items starts a goroutine for each map, and most have nothing
			for name, process := range bucket.Items() {
				bucket.Remove(name)
				names.GetBucket(name).Set(name, process)
			}
		}
		if i >= n {
			all[i] = nil
		}
	}
}
