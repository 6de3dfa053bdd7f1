package socks

import (
	"context"
	"errors"
	"fmt"

	"github.com/gamelan-p2p/gamelan/transport"
)

// Step is the step of a request that failed.
type Step string

// Steps of a request, in their order.
const (
	StepAddress Step = "address"        // the address cannot go through a proxy; nothing was sent
	StepProxy   Step = "proxy"          // connecting to the proxy
	StepMethod  Step = "method"         // agreeing how to authenticate
	StepAuth    Step = "authentication" // user name and password
	StepRequest Step = "request"        // the request, up to the end of the proxy's reply
)

// Cause is the kind of a failure.
type Cause uint8

// Causes of a failed request. The comment says whether another try can help.
const (
	CauseUnknown      Cause = iota // cancelled by the caller; it can
	CauseAddress                   // the address cannot be dialled; it cannot
	CauseProxyDown                 // the proxy cannot be reached, or hung up; it can
	CauseProtocol                  // the proxy's answer is not SOCKS5; it cannot
	CauseAuth                      // the proxy refuses the credentials, or wants some; it cannot
	CauseNotAllowed                // the proxy or the onion service does not permit it; it cannot
	CauseUnsupported               // the proxy does not know the request; it cannot
	CauseRefused                   // nothing listens there; it can
	CauseUnreachable               // no way to the host, or its name is unknown; it can
	CauseTimeout                   // a time limit has passed, ours or the proxy's; it can
	CauseGeneral                   // the proxy gives no cause; it can
	CauseNotPublished              // no usable descriptor of the onion service; it can
	CauseIntroduction              // no connection to the published onion service; it can
)

var causeNames = [...]string{
	CauseUnknown: "unknown", CauseAddress: "address", CauseProxyDown: "proxy down", CauseProtocol: "protocol",
	CauseAuth: "authentication", CauseNotAllowed: "not allowed", CauseUnsupported: "unsupported", CauseRefused: "refused",
	CauseUnreachable: "unreachable", CauseTimeout: "timeout", CauseGeneral: "general", CauseNotPublished: "not published",
	CauseIntroduction: "introduction",
}

// String returns the cause in one or two words.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return fmt.Sprintf("cause %d", uint8(c))
}

// Retryable reports whether a later try of the same request may succeed with nothing
// changed on this machine.
func (c Cause) Retryable() bool {
	switch c {
	case CauseAddress, CauseProtocol, CauseAuth, CauseNotAllowed, CauseUnsupported:
		return false
	}
	return true
}

// Errors that an [Error] wraps.
var (
	// ErrVersion reports an answer that does not begin with the version it has to have.
	ErrVersion = errors.New("not an answer of a SOCKS5 proxy")
	// ErrMethod reports a proxy that accepts no way to authenticate that it was offered,
	// or chooses one that it was not offered.
	ErrMethod = errors.New("no agreement on how to authenticate")
	// ErrCredentials reports a user name and password that the proxy refuses.
	ErrCredentials = errors.New("user name or password refused")
	// ErrReply reports a reply of the wrong form.
	ErrReply = errors.New("malformed reply")
	// ErrHungUp reports a proxy that closed the connection before its answer was whole.
	ErrHungUp = errors.New("the proxy hung up")
	// ErrCredentialsLength reports a user name or password that does not fit SOCKS5.
	ErrCredentialsLength = errors.New("socks: user name and password must have 1 to 255 bytes each")
)

// Error reports a failed request.
type Error struct {
	Proxy string // address of the proxy
	Step  Step
	Cause Cause
	Code  Code  // of the proxy's reply; 0 when it sent none
	Err   error // nil when Code says everything
}

// Error names the proxy, the step and the cause.
func (e *Error) Error() string {
	switch {
	case e.Step == StepAddress:
		return e.Err.Error()
	case e.Err == nil:
		return fmt.Sprintf("proxy %s: %s", e.Proxy, e.Code)
	}
	return fmt.Sprintf("proxy %s, at step %s: %v", e.Proxy, e.Step, e.Err)
}

// Retryable reports whether a later try may succeed; see [Cause.Retryable].
func (e *Error) Retryable() bool { return e.Cause.Retryable() }

// momentary reports whether Tor may answer another way at once: it has just asked for the
// descriptor of the onion service, or tried one of its introduction points.
func (e *Error) momentary() bool {
	if e.Step != StepRequest || e.Err != nil {
		return false
	}
	switch e.Cause {
	case CauseNotPublished, CauseIntroduction, CauseGeneral, CauseTimeout:
		return true
	}
	return false
}

// Hint returns what to do about it.
func (e *Error) Hint() string {
	switch e.Cause {
	case CauseAddress:
		return "check the address with the peer's operator"
	case CauseProxyDown:
		return "start the proxy (for Tor: the program tor), or correct its address"
	case CauseProtocol:
		return "give the address of a SOCKS5 proxy (Tor's is 127.0.0.1:9050, not the control port 9051)"
	case CauseAuth:
		return "give the user name and password that the proxy expects; one that takes none but its own users needs isolation off"
	case CauseNotAllowed:
		return "the rules of the proxy or of the onion service forbid it; ask who runs it"
	case CauseUnsupported:
		return "use another proxy, or another address of the peer"
	case CauseNotPublished, CauseIntroduction:
		return "check that the peer is running and that its Tor is connected; a service that has just started needs a moment"
	case CauseTimeout:
		if e.Step != StepRequest {
			return "the proxy does not answer; restart it, or correct its address"
		}
	}
	return "check that the peer is running, and that the proxy has a connection to the network"
}

// Unwrap returns the cause as an error, and where package transport has a sentinel for it,
// that one.
func (e *Error) Unwrap() []error {
	var all []error
	if e.Err != nil {
		all = append(all, e.Err)
	}
	switch e.Cause {
	case CauseAddress:
		all = append(all, transport.ErrUnsupported)
	case CauseRefused:
		all = append(all, transport.ErrRefused)
	case CauseTimeout:
		all = append(all, transport.ErrTimeout)
	}
	return all
}

// stage returns the stage of a dial at which e happened.
func (e *Error) stage() transport.Stage {
	switch {
	case e.Cause == CauseAddress:
		return transport.StageAddress
	case e.Step != StepRequest, e.Cause == CauseProtocol, e.Cause == CauseProxyDown, e.Cause == CauseUnsupported:
		return transport.StageProxy
	}
	return transport.StageConnect
}

// failed returns the error of a step at which reading or writing ended with err.
func failed(ctx context.Context, step Step, err error) *Error {
	e := &Error{Step: step, Err: err}
	switch {
	case ctx.Err() != nil: // it has closed the connection
		e.Err = context.Cause(ctx)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			e.Cause = CauseTimeout
		}
	case transport.IsTimeout(err):
		e.Cause, e.Err = CauseTimeout, errors.New("no answer in time")
	case errors.Is(err, ErrVersion), errors.Is(err, ErrReply):
		e.Cause = CauseProtocol
	case errors.Is(err, ErrMethod), errors.Is(err, ErrCredentials), errors.Is(err, ErrCredentialsLength):
		e.Cause = CauseAuth
	case step == StepProxy:
		e.Cause = CauseProxyDown
	default:
		e.Cause, e.Err = CauseProxyDown, fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	return e
}
