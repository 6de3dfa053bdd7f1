package identity

import (
	"strings"
	"testing"
)

// TestNoDigits: the errors for texts with other characters name no Go package.
func TestNoDigits(t *testing.T) {
	_, keyErr := ParsePublicKey(strings.Repeat("g", 2*KeyLen))
	_, idErr := ParseNodeID(strings.Repeat("g", 2*NodeIDLen))
	for want, err := range map[string]error{"a public key is 64 hexadecimal digits": keyErr, "a node id is 26 hexadecimal digits": idErr} {
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want an error that ends with %q", err, want)
		}
	}
}
