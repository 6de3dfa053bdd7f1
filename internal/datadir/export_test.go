package datadir

// RunAs has this package take the program for one of another user until the
// function that it returns is called.
func RunAs(uid int) (back func()) {
	before := user
	user = func() int { return uid }
	return func() { user = before }
}
