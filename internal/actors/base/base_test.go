package base

import (
	"reflect"
	"testing"
)

// TestBaseStaysSmall: what one room alone uses belongs to that room.
func TestBaseStaysSmall(t *testing.T) {
	const most = 19
	if n := reflect.TypeFor[Base]().NumField(); n > most {
		t.Errorf("got %d fields shared by all rooms, want %d at most", n, most)
	}
}
