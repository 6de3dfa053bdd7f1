package main

import (
	"regexp"
	"strings"
	"testing"
)

// TestRun: calls and streams of gRPC run over Gamelan, and the server knows who calls.
func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`\A/grpc\.health\.v1\.Health/Check is called by ([0-9a-f]+)\.\n([0-9a-f]+) asks: SERVING\.\nIt watches: SERVING\.\nIt watches: NOT_SERVING\.\n\z`)
	if m := want.FindStringSubmatch(out.String()); m == nil || m[1] != m[2] {
		t.Errorf("got\n%s\nwant calls of one peer, and a state that changes", &out)
	}
}
