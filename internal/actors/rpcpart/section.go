package rpcpart

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/durations"
	"github.com/gamelan-p2p/gamelan/internal/protocol/negotiate"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// statuses are those with which calls end.
var statuses = [...]rpc.Status{
	rpc.OK, rpc.BadRequest, rpc.UnsupportedMethod, rpc.NotImplemented, rpc.Timeout, rpc.MalformedResponse, rpc.General, rpc.NotFound,
	rpc.ProtocolError, rpc.Forbidden, rpc.Conflict, rpc.Unavailable, rpc.Exhausted, rpc.Unauthenticated,
}

// result is how a call has ended: the place of its status in statuses, or
type result int

const (
	cancelled   = result(len(statuses) + iota) // by the caller
	sessionLost                                // before the answer
	notRun                                     // the service was not reached
	otherResult
	allResults
)

// results are the names of the results.
var results = func() (names []string) {
	for _, s := range statuses {
		names = append(names, s.String())
	}
	return append(names, "cancelled", "session lost", "not run", models.OtherValue)
}()

// usualResults are those of which the section tells even when there was none: a counter that has been there at
// 0 shows its first step.
var usualResults = []result{ofStatus(rpc.OK), ofStatus(rpc.Timeout), ofStatus(rpc.General), sessionLost, notRun}

// neverRun are the errors of calls that have reached no service.
var neverRun = []error{rpc.ErrNotRun, actors.ErrUnknownPeer, actors.ErrBanned, negotiate.ErrUnsupported}

func ofStatus(s rpc.Status) result {
	if i := slices.Index(statuses[:], s); i >= 0 {
		return result(i)
	}
	return otherResult
}

// resultOf returns the result of a call for its caller.
func resultOf(err error) result {
	switch status := rpc.StatusOf(err); {
	case err == nil, errors.Is(err, status):
		return ofStatus(status)
	case errors.Is(err, context.Canceled):
		return cancelled
	case errors.Is(err, context.DeadlineExceeded):
		return ofStatus(rpc.Timeout)
	case errors.Is(err, rpc.ErrSessionLost):
		return sessionLost
	case rpc.Retryable(err), slices.ContainsFunc(neverRun, func(e error) bool { return errors.Is(err, e) }):
		return notRun
	}
	return otherResult
}

// servedResult returns the result of a method whose context is ctx.
func servedResult(ctx context.Context, err error) result {
	if err == nil {
		return ofStatus(rpc.OK)
	}
	_, panicked := err.(*methodPanicked)
	switch {
	case panicked:
		return ofStatus(rpc.General)
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), errExpired):
		return ofStatus(rpc.Timeout)
	case ctx.Err() != nil:
		return cancelled
	}
	status, _, _ := onecall.StatusOf(err)
	return ofStatus(status)
}

// callCounts counts the calls in one direction.
type callCounts struct {
	ended [allResults]atomic.Uint64
	took  durations.Counts
}

func (c *callCounts) add(r result, took time.Duration, streams bool) {
	c.ended[r].Add(1)
	if !streams {
		c.took.Add(took)
	}
}

func (c *callCounts) section(ended *[]models.CallsEnded, took *models.Histogram) {
	*ended = []models.CallsEnded{}
	for i, name := range results {
		if n := c.ended[i].Load(); n > 0 || slices.Contains(usualResults, result(i)) {
			*ended = append(*ended, models.CallsEnded{Result: name, Count: n})
		}
	}
	took.Bounds = durations.Bounds
	took.Counts, took.Sum = c.took.Read()
}

// Made counts a call of the program that began at a time and has ended.
func (k *Calls) Made(began time.Time, err error, streams bool) {
	k.made.add(resultOf(err), k.trunk.Now().Sub(began), streams)
}

// serve runs a method for a call whose context is ctx, and counts it. took is how long the method ran.
func (k *Calls) serve(ctx context.Context, r *registered, m rpc.Method, f func() error) (took time.Duration, err error) {
	began, ended := k.trunk.Now(), ofStatus(rpc.General) // also when the method ends its goroutine
	defer func() {
		if took = k.trunk.Now().Sub(began); r.own == nil {
			k.served.add(ended, took, m.Streams() || m.TakesStream())
		}
	}()
	err = serveMethod(m, f)
	ended = servedResult(ctx, err)
	return took, err
}

// section returns the section "calls".
func (k *Calls) section() *callsSection {
	v := new(callsSection)
	k.made.section(&v.Made, &v.MadeTook)
	k.served.section(&v.Served, &v.ServedTook)
	return v
}

// callsSection is the section "calls", whose metrics have the results as a label.
type callsSection struct{ models.Calls }

// MetricValues returns the values of a label.
func (*callsSection) MetricValues(label string) []string {
	if label == "result" {
		return results
	}
	return nil
}
