package connpool

import (
	"net/netip"
	"testing"
	"time"
)

func source4(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{8, byte(n >> 16), byte(n >> 8), byte(n)}), 32)
}

// TestOffencesCountBySource: a source whose keys offend, each once, is refused
// when there were enough within ten minutes, for ten minutes; others are not, and
// what is exempt never.
//
// conforms: V 31
func TestOffencesCountBySource(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	o := Offenders{Limit: 10}
	for i := range 10 {
		if refused := o.Offence(begin.Add(time.Duration(i)*time.Second), source4(1)); refused != (i == 9) {
			t.Errorf("offence %d: got refused %t, want it at the tenth", i+1, refused)
		}
	}
	at := begin.Add(9 * time.Second)
	if until := o.Until(at, source4(1)); !until.Equal(at.Add(OffencesWithin)) {
		t.Errorf("got refused until %v, want for %v", until, OffencesWithin)
	}
	if until := o.Until(at, source4(2)); !until.IsZero() {
		t.Errorf("another source: got refused until %v, want it let in", until)
	}
	if until := o.Until(at.Add(OffencesWithin), source4(1)); !until.IsZero() {
		t.Errorf("afterwards: got refused until %v, want it let in", until)
	}
	for i := range 100 { // nine in ten minutes
		at = at.Add(OffencesWithin/9 + time.Second)
		if o.Offence(at, source4(3)) {
			t.Fatalf("offence %d: got a source refused that is below the limit", i+1)
		}
	}
	for range 1000 {
		if o.Offence(at, netip.Prefix{}) {
			t.Fatal("got refused what is exempt")
		}
	}
	if o.Refuse(at, netip.Prefix{}, time.Hour) || !o.Refuse(at, source4(4), time.Hour) || o.Refuse(at, source4(4), time.Minute) {
		t.Error("got an exempt source refused, or a source not refused once")
	}
	if until := o.Until(at, source4(4)); !until.Equal(at.Add(time.Hour)) {
		t.Errorf("got until %v, want the longer time", until)
	}
}

// TestOffendersAreBounded: any number of sources is remembered up to a limit, and
// those that are refused are the last to be forgotten.
func TestOffendersAreBounded(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var o Offenders
	o.Refuse(begin, source4(1), time.Hour)
	for i := range 5 * maxOffenders {
		o.Offence(begin.Add(time.Duration(i)*time.Millisecond), source4(100+i))
		if len(o.by) > maxOffenders {
			t.Fatalf("got %d sources, want at most %d", len(o.by), maxOffenders)
		}
	}
	if all := o.All(begin.Add(time.Minute)); len(all) != 1 || all[0].Source != source4(1) {
		t.Errorf("got %v, want the refused one remembered", all)
	}
	later := begin.Add(2 * time.Hour)
	for i := range maxOffenders {
		o.Offence(later, source4(1_000_000+i))
	}
	if len(o.by) > maxOffenders || len(o.All(later)) != 0 {
		t.Errorf("got %d sources and %v refused, want those of before forgotten", len(o.by), o.All(later))
	}
}
