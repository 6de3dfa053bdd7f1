package tor

import "time"

// Event is what happens to a [Controller].
type Event interface{ event() }

// Events.
type (
	// Due says that the time of [Controller.Wake] has come.
	Due struct{}
	// Connected answers Connect: the control connection is open.
	Connected struct{}
	// Lost says that there is no control connection: Connect has failed, or the
	// connection has ended. It does not come for a connection after its Hangup, nor does
	// Received.
	Lost struct{ Err error }
	// Received is a reply or an event of Tor.
	Received struct{ Reply Reply }
	// CookieRead answers ReadCookie with the file's first bytes, or why there are none.
	CookieRead struct {
		Bytes []byte
		File  CookieFile
		Err   error
	}
	// Publish asks for a service, which is published from now on. A service with the
	// same key is replaced.
	Publish struct{ Service Service }
	// Withdraw ends a service.
	Withdraw struct{ ID ServiceID }
	// Asked sends a command of somebody else. It is answered once.
	Asked struct {
		Token   any
		Command Command
	}
	// Stuck says that dials of one address have failed several times, although each had a
	// circuit of its own. With [Options.NewCircuits] Tor forgets what it knows about onion
	// services and circuits, at most every [SignalPause].
	Stuck struct{}
	// Stop ends all services and the connection. Stopped follows.
	Stop struct{}
)

func (Due) event()        {}
func (Connected) event()  {}
func (Lost) event()       {}
func (Received) event()   {}
func (CookieRead) event() {}
func (Publish) event()    {}
func (Withdraw) event()   {}
func (Asked) event()      {}
func (Stuck) event()      {}
func (Stop) event()       {}

// Effect is what has to be done, in order.
type Effect interface{ effect() }

// Effects.
type (
	// Connect opens a control connection.
	Connect struct{}
	// Send writes a command.
	Send struct{ Command Command }
	// ReadCookie reads the first of the files that exists: 32 bytes, and at most one more.
	// Only root, Tor's account and this program's may be able to change it; the error is an
	// *[UnsafeError] otherwise.
	ReadCookie struct{ Files []string }
	// Hangup closes the control connection. What it still says does not count.
	Hangup struct{ Err error }
	// Changed says that a service has another state.
	Changed struct{ Service ServiceStatus }
	// Answered answers Asked. Err is a *[Refusal], or says that there is no answer.
	Answered struct {
		Token any
		Reply Reply
		Err   error
	}
	// Stopped follows Stop, when nothing is left to do.
	Stopped struct{}
)

func (Connect) effect()    {}
func (Send) effect()       {}
func (ReadCookie) effect() {}
func (Hangup) effect()     {}
func (Changed) effect()    {}
func (Answered) effect()   {}
func (Stopped) effect()    {}

// Phase is how far the control connection is.
type Phase string

// Phases.
const (
	Away           Phase = "away"           // waiting for the next attempt
	Connecting     Phase = "connecting"     // waiting for Connected
	Authenticating Phase = "authenticating" // up to Tor's consent
	Ready          Phase = "ready"
	Stopping       Phase = "stopping"
	Ended          Phase = "ended"
)

// ServiceState is how far an onion service is.
type ServiceState string

// States of a service.
const (
	Unpublished   ServiceState = "unpublished"    // Tor does not have it; the reason is the state of the controller
	Adding        ServiceState = "adding"         // ADD_ONION is under way
	Added         ServiceState = "added"          // Tor has it and uploads its descriptors
	Published     ServiceState = "published"      // a directory has a descriptor: peers can find it
	PublishFailed ServiceState = "publish failed" // every upload has failed; Tor tries again by itself
	Collision     ServiceState = "collision"      // another control connection holds the address; repeated
	Refused       ServiceState = "refused"        // Tor does not take it; repeated with the next connection
)

// ServiceStatus is the state of a service.
type ServiceStatus struct {
	ID    ServiceID
	State ServiceState
	Since time.Time
	Err   error // of Collision and Refused
}
