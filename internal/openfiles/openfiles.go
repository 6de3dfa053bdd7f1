// Package openfiles counts the files that this process may have open.
package openfiles

// A listener leaves spare files, and at least a fraction of all, to the rest of the process: its
// dials, its store, and those who look inside.
const (
	spare    = 32
	fraction = 4
)

// Crowded reports whether a file that was just opened as fd is one of the last that a listener
// leaves to others. A system gives each file the lowest free number, so all lower ones are in use.
func Crowded(fd uintptr) bool { return crowded(fd, Most()) }

func crowded(fd uintptr, most uint64) bool {
	return most > 0 && uint64(fd) >= most-min(spare, most/fraction)
}

// Gone reports whether of most files that a process may have open so many are used that its listeners take no
// more connections, or hardly any are left.
func Gone(used int, most uint64) bool {
	return most > 0 && (crowded(uintptr(used), most) || uint64(used) >= most-most/10)
}
