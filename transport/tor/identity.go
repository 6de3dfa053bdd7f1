package tor

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// DefaultOnionPort is the port of an onion service when none is set.
//
// spec: comms 13.3
const DefaultOnionPort = 18141

// Identity is what a node keeps of its onion service: the key and the port. It survives every
// restart; without it the address changes.
type Identity struct {
	Key  Key
	Port uint16 // other than 0
}

// identityFile is the form in which Tari nodes store it as well.
type identityFile struct {
	PrivateKey struct {
		Ed25519V3 string `json:"Ed25519V3,omitempty"`
		Rsa1024   string `json:"Rsa1024,omitempty"`
	} `json:"private_key"`
	ServiceID string `json:"service_id"`
	OnionPort uint16 `json:"onion_port"`
}

// identityComment is the first line of the file. Readers skip it.
const identityComment = "// The key of this node's onion service. Whoever has it can take the onion address over.\n"

// Append appends the identity as a file. The file must be readable by its owner alone.
//
// spec: comms 13.4
func (i Identity) Append(b []byte) []byte {
	var f identityFile
	f.PrivateKey.Ed25519V3 = base64.StdEncoding.EncodeToString(i.Key.expanded[:])
	f.ServiceID, f.OnionPort = string(i.Key.id), i.Port
	text, err := json.Marshal(f)
	if err != nil { // strings and a number always can be written
		panic(err)
	}
	return append(append(append(b, identityComment...), text...), '\n')
}

// Errors of reading an identity. They never repeat what the file contains.
var (
	// ErrIdentity reports a file that is not an identity.
	ErrIdentity = errors.New("tor: not the identity of an onion service")
	// ErrIdentityV2 reports the identity of an onion service of version 2.
	ErrIdentityV2 = errors.New("tor: the identity of an onion service of version 2, which Tor no longer runs; move the file away to get a new address")
)

// ParseIdentity reads a file of [Identity.Append], or of a Tari node. Lines in front that
// begin with // do not count. Unknown fields are refused.
func ParseIdentity(b []byte) (Identity, error) {
	text := bytes.TrimSpace(b)
	for bytes.HasPrefix(text, []byte("//")) {
		_, rest, _ := bytes.Cut(text, []byte("\n"))
		text = bytes.TrimSpace(rest)
	}
	var f identityFile
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Identity{}, fmt.Errorf("%w: not the JSON that it should be", ErrIdentity)
	}
	if d.More() {
		return Identity{}, fmt.Errorf("%w: more than one value", ErrIdentity)
	}
	if f.PrivateKey.Rsa1024 != "" {
		return Identity{}, ErrIdentityV2
	}
	if f.OnionPort == 0 {
		return Identity{}, fmt.Errorf("%w: onion_port must be 1 to 65535", ErrIdentity)
	}
	if strings.HasSuffix(f.ServiceID, ".onion") {
		return Identity{}, fmt.Errorf("%w: service_id has 56 characters and no .onion", ErrIdentity)
	}
	id, err := ParseServiceID(f.ServiceID)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	raw, err := base64.StdEncoding.DecodeString(f.PrivateKey.Ed25519V3)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: the key is not base64", ErrIdentity)
	}
	k, err := expandedKey(raw, id)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	return Identity{Key: k, Port: f.OnionPort}, nil
}
