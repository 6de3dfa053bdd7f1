package gamelan

import "testing"

func TestFilesNeeded(t *testing.T) {
	s := &settled{Config: Config{DataDir: "x"}.withDefaults()}
	if need := filesNeeded(s); need < 500+100 || need > 1200 {
		t.Errorf("the default limits need %d files, want room for 600 inbound connections and a store", need)
	}
}
