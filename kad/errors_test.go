package kad_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/kad"
)

// Each error with details is found in one that wraps it, and its text says what was wrong.
//
// conforms: kad 60
func TestTypedErrors(t *testing.T) {
	as := func(target any) func(error) bool { return func(err error) bool { return errors.As(err, target) } }
	for _, c := range []struct {
		err   error
		is    func(error) bool
		names string
	}{
		{&kad.UnreachableError{Address: "/memory/1", Cause: "no answer"}, func(err error) bool { return errors.Is(err, kad.ErrUnreachable) }, "/memory/1"},
		{&kad.UnreachableError{}, as(new(*kad.UnreachableError)), ""},
		{&kad.LookupFailedError{Steps: make([]kad.Step, 3), Cause: "a bug"}, as(new(*kad.LookupFailedError)), "3 steps"},
		{&kad.QuotaError{What: "own records", Max: 7}, as(new(*kad.QuotaError)), "7 own records"},
		{&kad.SeqTooLowError{Current: &kad.Record{Seq: 9}}, as(new(*kad.SeqTooLowError)), "9"},
		{&kad.RateLimitedError{RetryAfter: time.Second}, as(new(*kad.RateLimitedError)), "1s"},
		{&kad.TooLarge{Size: 9, Max: 8, Gateway: "udp"}, as(new(*kad.TooLarge)), "8"},
		{&kad.PartialError{Report: kad.Report{Accepted: 1}}, as(new(*kad.PartialError)), "1"},
		{&kad.LimitError{}, as(new(*kad.LimitError)), ""},
	} {
		err := fmt.Errorf("wrapped: %w", c.err)
		if !c.is(err) {
			t.Errorf("%T is not found in %v", c.err, err)
		}
		if !strings.Contains(c.err.Error(), c.names) {
			t.Errorf("%T: got %q, want one with %q", c.err, c.err.Error(), c.names)
		}
		if errors.Is(err, kad.ErrNotFound) {
			t.Errorf("%T matches another error", c.err)
		}
	}
}

// FuzzParseContact parses any text: the contact has at least one address and no more than are
// allowed, or there is an error.
//
// conforms: kad 60
func FuzzParseContact(f *testing.F) {
	key := kad.MemoryKey(1).String()
	for _, text := range []string{"", "::", key + "::/ip4/1.2.3.4/tcp/5", "/ip6/::1/udp/9", key + "::/memory/1::/memory/2", "x::/memory/1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := kad.ParseContact(text)
		if err == nil && (len(c.Addresses) == 0 || len(c.Addresses) > 5) {
			t.Errorf("got %v for %q", c, text)
		}
	})
}
