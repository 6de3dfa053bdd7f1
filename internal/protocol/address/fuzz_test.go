package address_test

import (
	"bytes"
	"errors"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
)

func FuzzAddress(f *testing.F) {
	for _, s := range []string{
		"04cb00710706470d",
		"2920010db800000000000000000000000106470d",
		"3610736565642e6578616d706c652e636f6d06470d",
		"bd03adadec040be047f9658668b11a504f3155001f231a37f54c4476c07fb4cc139ed7e30304d2",
		"bc030010c0439831b482184804d2",
		"890600000000000004d2",
		"3603612f6206470d",
		"360006470d",
		"04cb00710706470da503221220",
		"36ffffffff0f61",
		"",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := address.CheckBytes(b)
		if err != nil && errors.Is(err, address.ErrMalformed) == errors.Is(err, address.ErrUnparsable) {
			t.Fatalf("%x: got %v, want one of the two classes", b, err)
		}
		if got, want := address.Parses(b) != nil, errors.Is(err, address.ErrUnparsable); got != want {
			t.Fatalf("%x: got unparsable %v, want %v", b, got, want)
		}
		a, fromErr := address.FromBytes(b)
		for _, test := range []bool{false, true} {
			if got, want := address.UsableBytes(b, test), fromErr == nil && address.Usable(a, test); got != want {
				t.Fatalf("%x, test addresses %v: got usable %v, want %v", b, test, got, want)
			}
		}
		if fromErr != nil {
			// Only an empty name is well formed and has no text form.
			if err == nil && !(len(b) > 1 && b[1] == 0) {
				t.Fatalf("%x: got %v, though well formed", b, fromErr)
			}
			return
		}
		if !bytes.Equal(a.Bytes(), b) {
			t.Fatalf("got %x, want %x back", a.Bytes(), b)
		}
		if checked := address.Check(a); (checked == nil) != (err == nil) {
			t.Fatalf("%v: got %v from the address and %v from its bytes", a, checked, err)
		}
		usable := address.Usable(a, false)
		if usable && (err != nil || !address.External(a) || !address.Usable(a, true)) {
			t.Fatalf("%v: got usable, want well formed and external", a)
		}
		if (address.Policy{}).Check([]ma.Multiaddr{a}) == nil && !usable {
			t.Fatalf("%v: may be advertised and is not usable", a)
		}
	})
}
