package peerstore

import (
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// ReadJSON reads at most limit peers in the form of [WriteJSON]. It checks every
// field, including keys and signatures, at the time now. It refuses unknown fields,
// repeated fields and repeated peers. A peer without a key must have a ban. The error
// is an [*ImportError], or that of r.
func ReadJSON(r io.Reader, now time.Time, limit int) ([]Peer, error) {
	in := newStrict(r)
	var peers []Peer
	seen := make(map[identity.NodeID]int)
	var format string
	var version int64
	var listed bool
	err := in.object(map[string]func() error{
		"format": func() (err error) {
			format, err = in.text(256)
			if err == nil && format != exportFormat {
				err = bad("is %q", format).want("give a file that was made by exporting peers, which begins with {\"format\":%q", exportFormat)
			}
			return err
		},
		"version": func() (err error) {
			version, err = in.number(1, math.MaxInt32)
			if err == nil && version != exportVersion {
				err = bad("is %d, this release reads %d", version, exportVersion).want("import it with the release that wrote it, or a newer one")
			}
			return err
		},
		"peers": func() error {
			listed = true
			if format == "" || version == 0 {
				return bad("stands before format and version").want("begin the file with {\"format\":%q,\"version\":%d", exportFormat, exportVersion)
			}
			return in.list(func(i int) error {
				in.entry = i + 1
				defer func() { in.entry, in.peer = 0, "" }()
				if i == limit {
					return in.fail("", bad("there are more than %d peers", limit).want("allow more of them (MaxPeers) or leave some out"))
				}
				p, err := in.readPeer(now)
				if err == nil {
					if first, twice := seen[p.ID]; twice {
						err = bad("is the same peer as entry %d", first).want("leave one out")
					}
				}
				if err != nil {
					return in.fail("", err)
				}
				seen[p.ID] = in.entry
				peers = append(peers, p)
				return nil
			})
		},
	})
	if err == nil && !listed {
		err = bad("has no list of peers").want("an empty one is \"peers\":[]")
	}
	if err == nil {
		err = in.end()
	}
	if err != nil {
		return nil, in.fail("", err)
	}
	return peers, nil
}

func (in *strict) readPeer(now time.Time) (p Peer, err error) {
	err = in.object(map[string]func() error{
		"public_key": func() error {
			text, err := in.text(64)
			if err == nil {
				p.Key, err = identity.ParsePublicKey(text)
			}
			in.peer = text
			return err
		},
		"node_id": func() error {
			text, err := in.text(26)
			if err == nil {
				p.ID, err = identity.ParseNodeID(text)
			}
			in.peer = text
			return err
		},
		"features":     func() error { return set(&p.Features)(in.number(0, int64(identity.FeatureNode))) },
		"user_agent":   func() (err error) { p.UserAgent, err = in.text(maxText); return err },
		"added_at":     func() error { return in.time(&p.AddedAt) },
		"banned_until": func() error { return in.time(&p.BannedUntil) },
		"banned_at":    func() error { return in.time(&p.BannedAt) },
		"ban_reason":   func() error { return in.printable(&p.BanReason) },
		"seed": func() error {
			seed, err := in.bool()
			if seed {
				p.Flags |= FlagSeed
			}
			return err
		},
		"protocols": func() error {
			return in.atMost(maxProtocols, func(int) error {
				id, err := in.text(maxProtocolLen)
				p.Protocols = append(p.Protocols, protocol.ID(id))
				return err
			})
		},
		"addresses": func() error {
			return in.atMost(MaxAddresses, func(int) error {
				a, err := in.readAddress()
				if err == nil && find(p.Addresses, a.Addr) >= 0 {
					err = bad("names %s again", a.Addr).want("leave one out")
				}
				p.Addresses = append(p.Addresses, a)
				return err
			})
		},
		"claim": func() (err error) { p.Claim, err = in.readClaim(); return err },
	})
	if err != nil {
		return p, err
	}
	return p, in.complete(&p, now)
}

// complete checks that the fields of a peer are consistent.
func (in *strict) complete(p *Peer, now time.Time) error {
	id := p.ID
	if !p.Key.IsZero() {
		p.ID = p.Key.NodeID()
	}
	switch {
	case p.ID.IsZero():
		return bad("has neither public_key nor node_id").want("give the public key, 64 hexadecimal digits")
	case !id.IsZero() && id != p.ID:
		return in.fail("node_id", bad("is %s, but the public key belongs to node %s", id, p.ID).want("correct one of the two, or leave node_id out"))
	case p.Key.IsZero() && p.BannedUntil.IsZero():
		return in.fail("public_key", bad("is missing").want("only a ban can do without: give the key, or banned_until"))
	case p.Key.IsZero() && (len(p.Addresses) > 0 || p.Claim != nil):
		return in.fail("public_key", bad("is missing").want("addresses and claims need it"))
	case !p.BannedAt.IsZero() && p.BannedUntil.IsZero():
		return in.fail("banned_until", bad("is missing").want("banned_at needs it, for instance 2030-01-31T12:00:00Z"))
	case p.BanReason != "" && p.BannedUntil.IsZero():
		return in.fail("banned_until", bad("is missing").want("a ban_reason needs it, for instance 2030-01-31T12:00:00Z"))
	case p.Claim != nil:
		p.Claim.Key = p.Key
		if err := p.Claim.Verify(now); err != nil {
			return in.fail("claim", bad("%w", err).want("leave the claim out; the peer will send it again"))
		}
	}
	return nil
}

func (in *strict) readAddress() (a Address, err error) {
	var named bool
	err = in.object(map[string]func() error{
		"address": func() error {
			text, err := in.text(2 * maxAddressLen)
			if err == nil {
				a.Addr, err = address.Parse(text)
			}
			if err == nil {
				err = address.Check(a.Addr)
			}
			if err == nil && size(a.Addr) > maxAddressLen {
				err = fmt.Errorf("is longer than %d bytes", maxAddressLen)
			}
			if err != nil {
				return bad("%w", err).want("write a multiaddr, for instance /ip4/203.0.113.7/tcp/18189")
			}
			return nil
		},
		"source": func() error {
			named = true
			text, err := in.text(maxText)
			if err != nil {
				return err
			}
			for i, name := range sourceNames {
				if name == text {
					a.Source = Source(i)
					return nil
				}
			}
			return bad("is %q", text).want("write one of %q", sourceNames)
		},
		"last_seen":      func() error { return in.time(&a.LastSeen) },
		"last_attempted": func() error { return in.time(&a.LastAttempted) },
		"failures":       func() error { return set(&a.Attempts)(in.number(0, maxAttempts)) },
		"last_failure":   func() error { return in.printable(&a.LastFailure) },
		"dial_time":      func() error { return in.average(&a.DialTime) },
		"latency":        func() error { return in.average(&a.Latency) },
	})
	switch {
	case err != nil:
	case len(a.Addr) == 0:
		err = bad("has no address").want("write a multiaddr, for instance \"address\":\"/ip4/203.0.113.7/tcp/18189\"")
	case !named:
		err = bad("has no source").want("write \"source\":%q for an address of your own", Config.String())
	}
	return a, err
}

func (in *strict) readClaim() (*identity.Claim, error) {
	c := &identity.Claim{}
	missing := map[string]bool{"features": true, "version": true, "nonce": true, "signature": true, "updated_at": true}
	err := in.object(map[string]func() error{
		"features": func() error {
			delete(missing, "features")
			return set(&c.Features)(in.number(0, int64(identity.FeatureNode)))
		},
		"version": func() error {
			delete(missing, "version")
			return set(&c.Signature.Version)(in.number(0, math.MaxUint8))
		},
		"nonce":     func() error { delete(missing, "nonce"); return in.bytes32(&c.Signature.Nonce) },
		"signature": func() error { delete(missing, "signature"); return in.bytes32(&c.Signature.S) },
		"updated_at": func() error {
			delete(missing, "updated_at")
			return set(&c.Signature.UpdatedAt)(in.number(0, math.MaxInt64))
		},
		"addresses": func() error {
			return in.atMost(maxClaimAddresses, func(int) error {
				b, err := in.hex(maxAddressLen)
				c.Addresses = append(c.Addresses, b)
				return err
			})
		},
	})
	for _, name := range []string{"features", "version", "nonce", "signature", "updated_at"} {
		if err == nil && missing[name] {
			err = in.fail(name, bad("is missing").want("a claim is signed as a whole: leave it out or give all of it"))
		}
	}
	return c, err
}

// set stores a number that was read into a narrower type that holds it.
func set[T ~uint8 | ~uint32 | ~int | ~int64](to *T) func(int64, error) error {
	return func(n int64, err error) error {
		*to = T(n)
		return err
	}
}

func (in *strict) time(to *time.Time) error {
	text, err := in.text(64)
	if err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Before(time.Unix(0, 0)) || t.After(forever) {
		return bad("is %q", text).want("write a time between 1970 and 9999, for instance 2030-01-31T12:00:00Z")
	}
	*to = moment(t)
	return nil
}

func (in *strict) printable(to *string) error {
	text, err := in.text(maxText)
	if err == nil && printable(text) != text {
		err = bad("holds control characters").want("leave them out")
	}
	*to = text
	return err
}

func (in *strict) average(to *Average) error {
	err := in.object(map[string]func() error{
		"samples": func() error { return set(&to.Count)(in.number(1, maxSamples)) },
		"mean": func() error {
			text, err := in.text(64)
			if err != nil {
				return err
			}
			if to.Mean, err = time.ParseDuration(text); err != nil || to.Mean < 0 {
				return bad("is %q", text).want("write a duration that is not negative, for instance 12.5ms")
			}
			return nil
		},
	})
	if err == nil && to.Count == 0 {
		err = bad("has no samples").want("write both, for instance {\"mean\":\"12.5ms\",\"samples\":3}")
	}
	return err
}

func (in *strict) hex(most int) ([]byte, error) {
	text, err := in.text(2 * most)
	if err != nil {
		return nil, err
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, bad("is not hexadecimal").want("write two digits a byte, for instance 04cb007107064712")
	}
	return b, nil
}

func (in *strict) bytes32(to *[32]byte) error {
	b, err := in.hex(len(to))
	if err == nil && len(b) != len(to) {
		err = bad("has %d bytes", len(b)).want("write %d bytes as %d hexadecimal digits", len(to), 2*len(to))
	}
	copy(to[:], b)
	return err
}

func (in *strict) atMost(most int, each func(i int) error) error {
	return in.list(func(i int) error {
		if i == most {
			return bad("is one too many").want("give at most %d", most)
		}
		return each(i)
	})
}

// flaw describes what is wrong with a value, without its place in the text.
type flaw struct {
	err    error
	remedy string
}

func bad(format string, args ...any) *flaw { return &flaw{err: fmt.Errorf(format, args...)} }

func (f *flaw) want(format string, args ...any) *flaw {
	f.remedy = fmt.Sprintf(format, args...)
	return f
}

func (f *flaw) Error() string { return f.err.Error() }
func (f *flaw) Unwrap() error { return f.err }
