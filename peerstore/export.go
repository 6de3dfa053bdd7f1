package peerstore

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"
	"unicode/utf8"
)

// The JSON of peers is one object: "format" ("gamelan-peers"), "version" (1) and
// "peers", a list with one peer a line. The field names are those of the types
// below; unknown values are omitted.
const (
	exportFormat  = "gamelan-peers"
	exportVersion = 1
)

// The fields of a peer in JSON. Times are RFC 3339 in UTC, with milliseconds. Binary
// values are hexadecimal. Durations are in Go's form, such as 12.5ms.
type (
	peerJSON struct {
		PublicKey   string        `json:"public_key,omitempty"`
		NodeID      string        `json:"node_id"`
		Features    uint32        `json:"features"`
		Seed        bool          `json:"seed,omitempty"`
		UserAgent   string        `json:"user_agent,omitempty"`
		AddedAt     time.Time     `json:"added_at,omitzero"`
		BannedUntil time.Time     `json:"banned_until,omitzero"`
		BannedAt    time.Time     `json:"banned_at,omitzero"`
		BanReason   string        `json:"ban_reason,omitempty"`
		Protocols   []string      `json:"protocols,omitempty"`
		Addresses   []addressJSON `json:"addresses,omitempty"`
		Claim       *claimJSON    `json:"claim,omitempty"`
	}
	addressJSON struct {
		Address       string       `json:"address"`
		Source        string       `json:"source"`
		LastSeen      time.Time    `json:"last_seen,omitzero"`
		LastAttempted time.Time    `json:"last_attempted,omitzero"`
		Failures      int          `json:"failures,omitempty"`
		LastFailure   string       `json:"last_failure,omitempty"`
		DialTime      *averageJSON `json:"dial_time,omitempty"`
		Latency       *averageJSON `json:"latency,omitempty"`
	}
	averageJSON struct {
		Mean    string `json:"mean"`
		Samples int    `json:"samples"`
	}
	claimJSON struct {
		Features  uint32   `json:"features"`
		Addresses []string `json:"addresses"`
		Version   uint8    `json:"version"`
		Nonce     string   `json:"nonce"`
		Signature string   `json:"signature"`
		UpdatedAt int64    `json:"updated_at"` // Unix seconds
	}
)

// WriteJSON writes peers as JSON, in the form that [ReadJSON] reads, and returns how
// many it has written. It omits protocols and user agents that are not UTF-8.
func WriteJSON(w io.Writer, peers iter.Seq[Peer]) (n int, err error) {
	out := bufio.NewWriterSize(w, 1<<16)
	fmt.Fprintf(out, "{\"format\":%q,\"version\":%d,\"peers\":[", exportFormat, exportVersion)
	for p := range peers {
		b, err := json.Marshal(jsonOf(p))
		if err != nil {
			return n, fmt.Errorf("write peer %s: %w", p.ID, err)
		}
		if n > 0 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
		if _, err := out.Write(b); err != nil {
			return n, fmt.Errorf("write peer %s: %w", p.ID, err)
		}
		n++
	}
	out.WriteString("\n]}\n")
	if err := out.Flush(); err != nil { // reports failed writes above, too
		return n, fmt.Errorf("write peers: %w", err)
	}
	return n, nil
}

func jsonOf(p Peer) peerJSON {
	v := peerJSON{
		NodeID: p.ID.String(), Features: uint32(p.Features), Seed: p.Flags&FlagSeed != 0,
		AddedAt: p.AddedAt, BannedUntil: p.BannedUntil, BannedAt: p.BannedAt, BanReason: p.BanReason,
	}
	if !p.Key.IsZero() {
		v.PublicKey = p.Key.String()
	}
	if utf8.ValidString(p.UserAgent) {
		v.UserAgent = p.UserAgent
	}
	for _, id := range p.Protocols {
		if utf8.ValidString(string(id)) {
			v.Protocols = append(v.Protocols, string(id))
		}
	}
	for _, a := range p.Addresses {
		v.Addresses = append(v.Addresses, addressJSON{
			Address: a.Addr.String(), Source: a.Source.String(), LastSeen: a.LastSeen, LastAttempted: a.LastAttempted,
			Failures: a.Attempts, LastFailure: a.LastFailure, DialTime: averageOf(a.DialTime), Latency: averageOf(a.Latency),
		})
	}
	if c := p.Claim; c != nil {
		v.Claim = &claimJSON{
			Features: uint32(c.Features), Addresses: []string{}, Version: c.Signature.Version,
			Nonce: hex.EncodeToString(c.Signature.Nonce[:]), Signature: hex.EncodeToString(c.Signature.S[:]), UpdatedAt: c.Signature.UpdatedAt,
		}
		for _, a := range c.Addresses {
			v.Claim.Addresses = append(v.Claim.Addresses, hex.EncodeToString(a))
		}
	}
	return v
}

func averageOf(a Average) *averageJSON {
	if a.Count == 0 {
		return nil
	}
	return &averageJSON{Mean: a.Mean.String(), Samples: a.Count}
}
