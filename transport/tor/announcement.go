package tor

import "time"

// DefaultGrace is how long an address waits for its service to be published before peers are
// told of it all the same.
const DefaultGrace = time.Minute

// Announcement decides when peers are told the address of a service: when a directory has
// its descriptor for the first time, or when Grace has passed since Tor took the service.
// Once told, an address stays. The zero value has no Grace.
type Announcement struct {
	Grace time.Duration
	added time.Time
	made  time.Time
}

// Step takes the present state of the service, and returns true once: when peers are to be
// told.
func (a *Announcement) Step(now time.Time, state ServiceState) bool {
	if !a.made.IsZero() {
		return false
	}
	switch state {
	case Added, PublishFailed:
		if a.added.IsZero() {
			a.added = now
		}
	}
	if state != Published && (a.added.IsZero() || now.Before(a.added.Add(a.Grace))) {
		return false
	}
	a.made = now
	return true
}

// Wake returns when Step has to be called at the latest; zero means never.
func (a *Announcement) Wake() time.Time {
	if a.added.IsZero() || !a.made.IsZero() {
		return time.Time{}
	}
	return a.added.Add(a.Grace)
}

// Made returns when peers were told; zero means not yet.
func (a *Announcement) Made() time.Time { return a.made }
