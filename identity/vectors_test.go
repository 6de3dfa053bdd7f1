package identity_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// claimVector is one entry of identity-claims-*.json: what a live node sent.
type claimVector struct {
	PublicKey string `json:"public_key"`
	NodeID    string `json:"node_id"`
	Secret    string `json:"secret"`
	Frame     string `json:"frame"`
	Expect    struct {
		Addresses []string `json:"addresses"`
		Digest    string   `json:"challenge_digest"`
		Features  uint32   `json:"features"`
		R         string   `json:"signature_R"`
		S         string   `json:"signature_s"`
		Version   uint8    `json:"signature_version"`
		UpdatedAt int64    `json:"updated_at"`
	} `json:"expect"`
}

// keyVector is one key pair of keys-addresses.json.
type keyVector struct {
	Secret    string `json:"secret"`
	PublicKey string `json:"public_key"`
	NodeID    string `json:"node_id"`
}

const vectors = "../tests/vectors/comms/"

func load(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func keyVectors(t *testing.T) []keyVector {
	t.Helper()
	var file struct {
		Bytes struct{ Keys []keyVector }
	}
	load(t, vectors+"keys-addresses.json", &file)
	if len(file.Bytes.Keys) != 3 {
		t.Fatalf("got %d key pairs, want 3", len(file.Bytes.Keys))
	}
	return file.Bytes.Keys
}

func claimVectors(t *testing.T) map[string][]claimVector {
	t.Helper()
	names, err := filepath.Glob(vectors + "identity-claims-*.json")
	if err != nil || len(names) != 3 {
		t.Fatalf("got %d files, %v, want 3", len(names), err)
	}
	all := map[string][]claimVector{}
	for _, name := range names {
		var file struct{ Bytes []claimVector }
		load(t, name, &file)
		if len(file.Bytes) != 6 {
			t.Fatalf("%s: got %d claims, want 6", name, len(file.Bytes))
		}
		all[filepath.Base(name)] = file.Bytes
	}
	return all
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
