package supervisor

// grow makes the stack of a new goroutine of the pool large enough for most turns and short
// tasks: 8 KiB.
// Without it the runtime grows the stack later and has to move many frames: a third
// of the whole cost of an actor that wakes up for one message.
//
//go:noinline
func grow(i int) byte {
	var room [3072]byte
	return room[i]
}
