package tcp

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/gamelan-p2p/gamelan/transport"
)

// TestRefusal decodes what the system keeps of an ICMP message.
func TestRefusal(t *testing.T) {
	const (
		v4 = "0000000000000000" + "0200" + "0000" + "c0000201" + "0000000000000000"
		v6 = "0000000000000000" + "0a00" + "0000" + "00000000" + "20010db8000000000000000000000001" + "00000000"
	)
	for _, x := range []struct{ in, want string }{
		{"71000000" + "02030d00" + v4, "a firewall at 192.0.2.1 refuses it"},
		{"71000000" + "02030a00" + v4, "a firewall at 192.0.2.1 refuses it"},
		{"6f000000" + "02030300" + v4, "a firewall at 192.0.2.1 refuses it"},
		{"71000000" + "02030100" + v4, "192.0.2.1 knows no way to it"},
		{"71000000" + "03010100" + v6, "a firewall at 2001:db8::1 refuses it"},
		{"71000000" + "03010300" + v6, "2001:db8::1 knows no way to it"},
		{"71000000" + "02030d00" + v4[:30], ""},                 // no sender
		{"71000000" + "020b0000" + v4, ""},                      // the time is exceeded
		{"71000000" + "01030d00" + v4, ""},                      // not of ICMP
		{"71000000" + "02030d00" + "0000000000000000" + "", ""}, // no sender
		{"7100", ""},
	} {
		b, err := hex.DecodeString(x.in)
		if err != nil {
			t.Fatal(err)
		}
		r := refusal(b)
		switch {
		case x.want == "" && r != nil:
			t.Errorf("%s: got %v, want nothing", x.in, r)
		case x.want != "" && (r == nil || r.Error() != x.want || errors.Is(r, transport.ErrProhibited) != r.Prohibited):
			t.Errorf("%s: got %v, want %q", x.in, r, x.want)
		}
	}
}
