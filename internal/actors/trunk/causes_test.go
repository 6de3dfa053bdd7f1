package trunk

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/internal/transport/noise"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/transport"
)

// TestCauseOf: each way in which a dial fails has a code, whatever wraps it, and only those that may be of a wrong
// address say so.
func TestCauseOf(t *testing.T) {
	addr := ma.StringCast("/ip4/192.0.2.7/tcp/1")
	dial := func(s transport.Stage, err error) error { return &transport.DialError{Addr: addr, Stage: s, Err: err} }
	setup := func(s upgrade.Stage, err error) error { return &upgrade.Error{Stage: s, Err: err} }
	for name, x := range map[string]struct {
		err          error
		want         *codes.Code
		misaddressed bool
	}{
		"refused":       {dial(transport.StageConnect, transport.ErrRefused), codes.DialRefused, true},
		"reset by ICMP": {dial(transport.StageConnect, &transport.Refusal{Prohibited: true}), codes.DialProhibited, false},
		"no way":        {dial(transport.StageConnect, &transport.Refusal{}), codes.DialNoRoute, false},
		"no route":      {dial(transport.StageConnect, syscall.ENETUNREACH), codes.DialNoRoute, false},
		"away":          {dial(transport.StageConnect, syscall.EHOSTUNREACH), codes.DialNoAnswer, false},
		"forbidden":     {dial(transport.StageConnect, fmt.Errorf("%w: by a rule", transport.ErrPermission)), codes.DialForbidden, false},
		"cancelled":     {dial(transport.StageConnect, context.Canceled), nil, false},
		"unknown":       {dial(transport.StageConnect, errors.New("something else")), nil, false},
		"no answer":     {dial(transport.StageConnect, fmt.Errorf("%w: %w", transport.ErrTimeout, context.DeadlineExceeded)), codes.DialNoAnswer, false},
		"a name":        {dial(transport.StageResolve, transport.ErrResolve), codes.DialUnresolved, true},
		"a name server": {dial(transport.StageResolve, fmt.Errorf("%w: %w", transport.ErrResolve, transport.ErrTimeout)), codes.DialUnresolved, true},
		"a proxy":       {dial(transport.StageProxy, transport.ErrRefused), codes.DialProxy, false},
		"no port here":  {dial(transport.StageConnect, transport.ErrNoLocalPort), nil, false},
		"too many":      {dial(transport.StageConnect, actors.ErrAimed), nil, false},
		"no transport":  {dial(transport.StageAddress, transport.ErrUnsupported), nil, false},
		"another key":   {setup(upgrade.StageKey, upgrade.ErrWrongKey), codes.DialOtherKey, true},
		"itself":        {setup(upgrade.StageKey, upgrade.ErrSelf), codes.DialOtherKey, true},
		"no node":       {setup(upgrade.StageNoise, noise.ErrLength), codes.DialForeign, true},
		"banned there":  {setup(upgrade.StageIdentity, upgrade.ErrHungUp), codes.DialTurnedAway, false},
		"busy":          {setup(upgrade.StageNoise, upgrade.ErrRefused), codes.DialHungUp, false},
		"secret":        {setup(upgrade.StageNoise, errors.Join(upgrade.ErrRefused, protocol.ErrSecretMayDiffer)), codes.DialSecret, false},
		"mute":          {setup(upgrade.StageNoise, upgrade.ErrSilent), codes.DialMute, false},
		"of the peer":   {&actors.DialError{Err: dial(transport.StageConnect, transport.ErrRefused)}, codes.DialRefused, true},
		"nothing":       {nil, nil, false},
		"another one":   {errors.New("connection refused, says somebody"), nil, false},
	} {
		got := CauseOf(x.err)
		if got != x.want || got != nil && (got.Misaddressed() != x.misaddressed || !got.Unreached()) {
			t.Errorf("%s: got %+v, want %+v, misaddressed %v", name, got, x.want, x.misaddressed)
		}
		want := ""
		if x.want != nil {
			want = x.want.Name
		}
		if o := DescribeOutcome(protocol.Outcome{Kind: protocol.Failed, Reason: protocol.DialFailed, Err: x.err}); o.Code != want {
			t.Errorf("%s: got the outcome %+v, want the code %q", name, o, want)
		}
	}
}

// TestCauseOfFiles: a dial for which the process has no file says nothing of the peer.
func TestCauseOfFiles(t *testing.T) {
	if !transport.OutOfFiles(syscall.EMFILE) {
		t.Skip("the system has another error")
	}
	got := CauseOf(&transport.DialError{Addr: ma.StringCast("/ip4/192.0.2.7/tcp/1"), Stage: transport.StageConnect, Err: syscall.EMFILE})
	if got != codes.FilesGone || got.Unreached() {
		t.Errorf("got %+v, want %+v", got, codes.FilesGone)
	}
}
