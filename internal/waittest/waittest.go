// Package waittest serves tests that wait most of the time, such as for the limits of nodes.
package waittest

import "flag"

// Parallel lets 8 parallel tests run at a time, whatever the number of processors, unless
// -parallel was given. TestMain calls it before it runs the tests.
func Parallel() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "8")
	}
}
