package identity_test

import (
	"crypto/rand"
	"fmt"

	"github.com/gamelan-p2p/gamelan/identity"
)

// A node's key is a secret from a source of randomness. Its id is a hash of the public
// key, and both can be written as text and read again.
func Example() {
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := identity.ParsePublicKey(secret.PublicKey().String())
	fmt.Println(key == secret.PublicKey(), err)
	fmt.Println(key.NodeID() == secret.NodeID(), len(key.NodeID().String()))
	// Output:
	// true <nil>
	// true 26
}
