package supervisor

// grow makes the stack of a fresh goroutine large enough for most turns and
// tasks. The runtime would do it too, but later, when the frames that it then
// has to move are many: for an actor that wakes up for one message that was a
// third of the whole cost.
//
//go:noinline
func grow(i int) byte {
	var room [1536]byte
	return room[i]
}
