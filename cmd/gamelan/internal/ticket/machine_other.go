//go:build !linux

package ticket

func (*Machine) look(int) {}

func room(string) (total, free int64) { return 0, 0 }
