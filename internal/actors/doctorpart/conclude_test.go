package doctorpart

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/protocol/why"
	"github.com/gamelan-p2p/gamelan/internal/transport/upgrade"
	"github.com/gamelan-p2p/gamelan/transport"
)

func failed(step string, c *codes.Code, what string) models.Checked {
	return models.Checked{Step: step, On: "x", State: models.CheckFailed, What: what, Notice: new(c.Notice(what))}
}

// TestAgrees: dials in vain are told although nothing explains them, with how far back the other end remembers.
func TestAgrees(t *testing.T) {
	missed := why.Record{Kind: why.Missed, Code: why.CodeNoAnswer, Count: 10, First: 25 * time.Minute, Last: 20 * time.Minute}
	refused := why.Record{Kind: why.Missed, Code: "dial_refused", Count: 1, First: time.Minute, Last: time.Minute}
	came := why.Record{Kind: why.Came, Count: 3, Last: time.Minute}
	for name, c := range map[string]struct {
		ours, theirs why.Answer
		state        models.CheckState
		want         string
	}{
		"nothing": {
			why.Answer{Since: time.Hour, Records: []why.Record{came}},
			why.Answer{Since: time.Hour},
			models.CheckOK,
			"what both remember agrees: no connection was refused, or lost on the way",
		},
		"it has restarted since": {
			why.Answer{Since: time.Hour, Records: []why.Record{missed}},
			why.Answer{Since: 5 * time.Minute},
			models.CheckNote,
			"nothing that both remember contradicts; this node has dialled it 10 times in vain, the last time 20 min ago. It remembers the last 5 min",
		},
		"of both": {
			why.Answer{Since: time.Hour, Records: []why.Record{refused, missed}},
			why.Answer{Since: time.Hour, Records: []why.Record{refused}},
			models.CheckNote,
			"nothing that both remember contradicts; this node has dialled it 11 times in vain, the last time 1 min ago; " +
				"it says that it has dialled this node 1 time in vain, the last time 1 min ago. It remembers the last 1 h",
		},
	} {
		if got := agrees(c.ours, c.theirs); got.State != c.state || got.What != c.want {
			t.Errorf("%s: got %s, %q, want %s, %q", name, got.State, got.What, c.state, c.want)
		}
	}
}

// TestConclude: what is wrong here comes before what is wrong elsewhere, the reason of a failed
// connection before the fact that there is none, and a fault that does not matter is no cause.
func TestConclude(t *testing.T) {
	seed := failed(stepSeed, codes.DialRefused, "connection refused")
	near := failed(stepSeed, codes.DialNoRoute, "no route to host")
	disk := failed(stepDisk, codes.DiskFull, "the disk is full")
	offline := failed(stepConnections, codes.Offline, "offline for 3 min")
	alone := models.Checked{Step: stepConnections, State: models.CheckNote, What: "alone", Notice: new(codes.Alone.Notice("alone"))}
	note := models.Checked{Step: stepReach, State: models.CheckNote, What: "behind a router", Notice: new(codes.PrivateOnly.Notice("behind a router"))}
	for name, c := range map[string]struct {
		status string
		steps  []models.Checked
		want   *codes.Code
		also   int
	}{
		"nothing":                     {"online", nil, nil, 0},
		"a note":                      {"online", []models.Checked{note}, nil, 1},
		"a seed is away, but online":  {"online", []models.Checked{seed}, nil, 1},
		"a seed is away":              {"offline", []models.Checked{seed, offline}, codes.DialRefused, 1},
		"the seed that tells most":    {"offline", []models.Checked{near, seed, near}, codes.DialRefused, 2},
		"offline, and no seed is set": {"offline", []models.Checked{note, offline}, codes.Offline, 1},
		"names of seeds":              {"offline", []models.Checked{{Step: stepNames, State: models.CheckNote, Notice: new(codes.SeedNames.Notice("no such host"))}, offline}, codes.SeedNames, 1},
		"alone is no fault":           {"offline", []models.Checked{alone}, nil, 1},
		"the disk first":              {"offline", []models.Checked{disk, seed, offline}, codes.DiskFull, 2},
	} {
		end := conclude(&models.Node{Status: c.status}, &models.Health{}, c.steps)
		got := ""
		if end.Cause != nil {
			got = end.Cause.Code
		}
		want := ""
		if c.want != nil {
			want = c.want.Name
		}
		if got != want || end.OK != (c.want == nil) || len(end.Also) != c.also {
			t.Errorf("%s: got %+v, want %q and %d more", name, end, want, c.also)
		}
	}
}

// TestHere: what stands in the health of the node is not found twice, and nothing is forgotten.
func TestHere(t *testing.T) {
	n := models.Node{Version: "1", Network: "localnet", Status: "online", Disk: &models.Disk{Path: "/data", Free: 1 << 30}, Clock: &models.Clock{AheadMS: -4000, Sources: 3}}
	h := models.Health{
		Reasons:  models.Notices{codes.DiskFull.Notice("the disk is full")},
		Warnings: models.Notices{codes.ClockOff.Notice("the clock is off"), codes.Unhandled.Notice("a type is not handled")},
	}
	steps := here(&n, &h, 95, 100, true, time.Time{})
	steps = append(steps, rest(&n, &h, steps)...)
	want := []struct {
		step  string
		state models.CheckState
		code  *codes.Code
	}{
		{stepNode, models.CheckOK, nil},
		{stepDisk, models.CheckFailed, codes.DiskFull},
		{stepClock, models.CheckNote, codes.ClockOff},
		{stepFiles, models.CheckFailed, codes.FilesGone},
		{stepConnections, models.CheckOK, nil},
		{stepHealth, models.CheckNote, codes.Unhandled},
	}
	if len(steps) != len(want) {
		t.Fatalf("got %+v", steps)
	}
	for i, w := range want {
		s := steps[i]
		if s.Step != w.step || s.State != w.state || (s.Notice == nil) != (w.code == nil) || w.code != nil && s.Notice.Code != w.code.Name {
			t.Errorf("got %+v, want %+v", s, w)
		}
	}
}

// TestNotice: each error that a dial can end with has a code, and each code a rank.
func TestNotice(t *testing.T) {
	dial := func(stage transport.Stage, err error) error {
		return &transport.DialError{Addr: ma.StringCast("/ip4/127.0.0.1/tcp/1"), Stage: stage, Err: err}
	}
	for _, c := range []struct {
		err  error
		want *codes.Code
	}{
		{dial(transport.StageConnect, transport.ErrRefused), codes.DialRefused},
		{dial(transport.StageConnect, transport.ErrTimeout), codes.DialNoAnswer},
		{dial(transport.StageConnect, transport.ErrProhibited), codes.DialProhibited},
		{dial(transport.StageConnect, transport.ErrNoLocalPort), codes.DialNoPort},
		{dial(transport.StageConnect, syscall.ENETUNREACH), codes.DialNoRoute},
		{dial(transport.StageResolve, transport.ErrResolve), codes.DialUnresolved},
		{dial(transport.StageProxy, transport.ErrRefused), codes.DialProxy},
		{dial(transport.StageAddress, transport.ErrUnsupported), codes.DialNoAddress},
		{&upgrade.Error{Stage: upgrade.StageKey, Err: upgrade.ErrWrongKey}, codes.DialOtherKey},
		{&upgrade.Error{Stage: upgrade.StageNoise, Err: upgrade.ErrRefused}, codes.DialHungUp},
		{&upgrade.Error{Stage: upgrade.StageIdentity, Err: upgrade.ErrHungUp}, codes.DialTurnedAway},
		{&upgrade.Error{Stage: upgrade.StageNoise, Err: upgrade.ErrSilent}, codes.DialMute},
		{&actors.BannedError{}, codes.DialBanned},
		{&actors.NotAdmittedError{}, codes.DialUnlisted},
		{actors.ErrExcluded, codes.DialExcluded},
		{fmt.Errorf("dial: %w", actors.ErrNoAddress), codes.DialNoAddress},
		{errors.New("something else; look at it"), codes.DialFailed},
	} {
		n := notice(c.err, "it")
		if n.Code != c.want.Name || n.Step == "" || n.What == "" {
			t.Errorf("%v: got %+v, want %s", c.err, n, c.want.Name)
		}
		if !slices.Contains(furthest, codes.Named(n.Code)) {
			t.Errorf("%s has no rank", n.Code)
		}
	}
	for c := range codes.All() {
		if strings.HasPrefix(c.Name, "dial_") && c.Severity == models.Failure && !slices.Contains(furthest, c) {
			t.Errorf("%s has no rank", c.Name)
		}
	}
}
