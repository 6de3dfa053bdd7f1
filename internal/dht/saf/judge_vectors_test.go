package saf_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
)

// recorded is a file of recorded bytes.
type recorded struct {
	name                  string
	Inputs, Bytes, Expect map[string]any
}

// recordings returns the files of both releases that have store and forward.
func recordings(t *testing.T, kind string) (list []recorded) {
	t.Helper()
	for _, release := range []string{"1.7.0-pre.3", "1.0.0-rc.5"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "..", "tests", "vectors", "dht", kind+"-"+release+".json"))
		if err != nil {
			t.Fatal(err)
		}
		r := recorded{name: kind + "-" + release}
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

func (r recorded) parts(t *testing.T) [][]byte {
	t.Helper()
	b, err := hex.DecodeString(r.Bytes["response_envelope"].(string))
	if err != nil {
		t.Fatal(err)
	}
	e, err := wire.DecodeEnvelope(b)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := wire.DecodeBody(e.Body)
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

func (r recorded) secret(t *testing.T, name string) *identity.Secret {
	t.Helper()
	s, err := identity.ParseSecret(r.Inputs[name].(string))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestJudgeRecorded judges responses of recorded nodes, and responses that they accepted.
func TestJudgeRecorded(t *testing.T) {
	for kind, recipient := range map[string]string{
		"saf": "requester_secret", "saf-response-accepted": "recipient_secret",
	} {
		for _, r := range recordings(t, kind) {
			at := time.Unix(int64(r.Inputs["unix_time"].(float64)), 0)
			d := saf.NewJudge(r.secret(t, recipient), never).Response(at, r.parts(t))
			if len(d.Letters) != 2 || d.Err != nil || d.Messages != 2 {
				t.Errorf("%s: got %d letters of %d, %v", r.name, len(d.Letters), d.Messages, d.Err)
				continue
			}
			if d.Letters[0].StoredAt > d.Letters[1].StoredAt {
				t.Errorf("%s: stored at %d and %d, want the oldest first", r.name, d.Letters[0].StoredAt, d.Letters[1].StoredAt)
			}
			for _, l := range d.Letters {
				if l.From != r.secret(t, "sender_secret").PublicKey() || !l.Envelope.Header.Encrypted() {
					t.Errorf("%s: from %v", r.name, l.From)
				}
			}
			if d := saf.NewJudge(secretOf(9), never).Response(at, r.parts(t)); d.Violation == nil {
				t.Errorf("%s: no offence for another node", r.name)
			}
		}
	}
	for _, r := range recordings(t, "saf-empty") {
		if d := judge(r.parts(t)); d.Messages != 0 || d.Err != nil {
			t.Errorf("%s: got %d messages, %v", r.name, d.Messages, d.Err)
		}
	}
}
