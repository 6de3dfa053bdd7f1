//go:build !unix

package daemon

func ignoreOutputSignals() {} // there are none
func heedOutputSignals()   {}
