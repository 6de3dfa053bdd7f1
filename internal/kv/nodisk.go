//go:build nodisk

package kv

// Available returns a [*DirError] with ErrNoDisk, as this program can open no store in a
// directory. Built without the tag nodisk, it returns nil.
func Available(dir string) error {
	return &DirError{Dir: dir, Err: ErrNoDisk, Remedy: "leave DataDir empty, or build the program without the tag nodisk"}
}

// OpenPebble returns the error of Available. It makes no directory.
func OpenPebble(dir string) (DB, error) { return nil, Available(dir) }

// Check returns the error of Available. It does not look whether there is a store in dir.
func Check(dir string, _ func(key, value []byte)) (Report, error) { return Report{}, Available(dir) }
