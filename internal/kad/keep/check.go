package keep

import (
	"errors"
	"strings"

	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/kad"
)

// Checker checks the entries of a store without opening it. The zero value is ready.
type Checker struct {
	r   kad.StoreReport
	err error
}

// hashLen is how many bytes of the hash of a client's name its keys have.
const hashLen = 4

// Visit checks one entry of the store. It ignores entries that are not of this package.
func (c *Checker) Visit(key, value []byte) {
	name := string(key)
	if len(key) > 0 && key[0] == kv.Bulk {
		name = name[1:]
	}
	name, ours := strings.CutPrefix(name, keyPrefix)
	if !ours || len(name) < 1+hashLen {
		return
	}
	name = name[1+hashLen:]
	c.r.Bytes += int64(len(value))
	if what, ok := strings.CutPrefix(name, kindMeta); ok {
		c.meta(what, value)
		return
	}
	for kind, n := range map[string]*int{kindRecord: &c.r.Records, kindOwn: &c.r.Own, kindContact: &c.r.Contacts, kindFormer: &c.r.Contacts} {
		id, ok := strings.CutPrefix(name, kind)
		if !ok {
			continue
		}
		if readable(kind, id, value) {
			*n++
		} else {
			c.r.Damaged++
		}
	}
}

func (c *Checker) meta(what string, value []byte) {
	switch what {
	case string(metaVersion):
		c.r.Clients++
		if len(value) > 0 {
			c.r.Schema = max(c.r.Schema, int(value[0]))
		}
		_, err := checkVersion(value)
		c.err = errors.Join(c.err, err)
	case string(metaID):
		if len(value) != len(kad.ID{}) {
			c.r.Damaged++
		}
	}
}

// readable reports whether an entry can be read.
func readable(kind, id string, value []byte) (ok bool) {
	b, sealed := unseal(value)
	var at kad.ID
	if !sealed || len(id) != len(at) {
		return false
	}
	copy(at[:], id)
	switch kind {
	case kindRecord:
		_, ok = decodeRecord(at, b)
	case kindOwn:
		_, ok = decodeOwn(at, b)
	default:
		return true // the seal holds
	}
	return ok
}

// Report returns the result. The error is the one with which a client would not start.
func (c *Checker) Report() (kad.StoreReport, error) {
	r := c.r
	r.Current = Schema
	return r, c.err
}
