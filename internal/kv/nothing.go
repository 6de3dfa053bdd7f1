package kv

import "iter"

// nothing keeps nothing.
type nothing struct{}

// Nothing returns a store that is always empty: it forgets what is applied. It is for those who
// read a store only when they start, in a node without a disk.
func Nothing() DB { return nothing{} }

func (n nothing) Client() Client { return n }

func (nothing) Get(key []byte) ([]byte, error) {
	if !validKey(key) {
		return nil, ErrBadKey
	}
	return nil, ErrNotFound
}

func (nothing) Apply(b *Batch, _ bool) error { return b.check() }

func (n nothing) Scan(prefix []byte) (iter.Seq2[[]byte, []byte], func() error) {
	return n.ScanFrom(prefix, nil)
}

func (nothing) ScanFrom(_, _ []byte) (iter.Seq2[[]byte, []byte], func() error) {
	return func(func(k, v []byte) bool) {}, func() error { return nil }
}

func (nothing) Close() error { return nil }
