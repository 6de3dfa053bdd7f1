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

// Results of calls that have no status.
const (
	cancelled   = "cancelled"    // by the caller
	sessionLost = "session lost" // before the answer
	notRun      = "not run"      // the service was not reached
)

// results are the results of calls.
var results = append(statuses(), cancelled, sessionLost, notRun, models.OtherValue)

// usualResults are those of which the section tells even when there was none: a counter that has been there at
// 0 shows its first step.
var usualResults = []string{rpc.OK.String(), rpc.Timeout.String(), rpc.General.String(), sessionLost, notRun}

// neverRun are the errors of calls that have reached no service.
var neverRun = []error{rpc.ErrNotRun, actors.ErrUnknownPeer, actors.ErrBanned, negotiate.ErrUnsupported}

func statuses() (list []string) {
	for s := rpc.OK; s <= rpc.Conflict; s++ {
		list = append(list, s.String())
	}
	return append(list, rpc.Unavailable.String(), rpc.Exhausted.String(), rpc.Unauthenticated.String())
}

// resultOf returns the result of a call for its caller.
func resultOf(err error) string {
	status := rpc.StatusOf(err)
	switch {
	case err == nil, errors.Is(err, status):
		if name := status.String(); slices.Contains(results, name) {
			return name
		}
	case errors.Is(err, context.Canceled):
		return cancelled
	case errors.Is(err, context.DeadlineExceeded):
		return rpc.Timeout.String()
	case errors.Is(err, rpc.ErrSessionLost):
		return sessionLost
	case rpc.Retryable(err), slices.ContainsFunc(neverRun, func(e error) bool { return errors.Is(err, e) }):
		return notRun
	}
	return models.OtherValue
}

// servedResult returns the result of a method whose context is ctx.
func servedResult(ctx context.Context, err error) string {
	_, panicked := err.(*methodPanicked)
	switch {
	case panicked:
		return rpc.General.String()
	case err != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), errExpired):
		return rpc.Timeout.String()
	case err != nil && ctx.Err() != nil:
		return cancelled
	}
	status, _, _ := onecall.StatusOf(err)
	if name := status.String(); slices.Contains(results, name) {
		return name
	}
	return models.OtherValue
}

// callCounts counts the calls in one direction.
type callCounts struct {
	ended [18]atomic.Uint64 // by results
	took  durations.Counts
}

func (c *callCounts) add(result string, took time.Duration, streams bool) {
	c.ended[slices.Index(results, result)].Add(1)
	if !streams {
		c.took.Add(took)
	}
}

func (c *callCounts) section(ended *[]models.CallsEnded, took *models.Histogram) {
	*ended = []models.CallsEnded{}
	for i, result := range results {
		if n := c.ended[i].Load(); n > 0 || slices.Contains(usualResults, result) {
			*ended = append(*ended, models.CallsEnded{Result: result, Count: n})
		}
	}
	took.Bounds = durations.Bounds
	took.Counts, took.Sum = c.took.Read()
}

// Made counts a call of the program that began at a time and has ended.
func (k *Calls) Made(began time.Time, err error, streams bool) {
	k.made.add(resultOf(err), k.trunk.Now().Sub(began), streams)
}

// serve runs a method for a call whose context is ctx, and counts it.
func (k *Calls) serve(ctx context.Context, r *registered, m rpc.Method, f func() error) (err error) {
	if r.own != nil {
		return serveMethod(m, f)
	}
	began, result := k.trunk.Now(), rpc.General.String() // also when the method ends its goroutine
	defer func() { k.served.add(result, k.trunk.Now().Sub(began), m.Streams() || m.TakesStream()) }()
	err = serveMethod(m, f)
	result = servedResult(ctx, err)
	return err
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
