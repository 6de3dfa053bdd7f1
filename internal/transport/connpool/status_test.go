package connpool

import "testing"

// conforms: comms 121
func TestStatusFollowsTheCounts(t *testing.T) {
	for min := 1; min <= 3; min++ {
		for nodes := range 6 {
			for clients := range 3 {
				want := Offline
				switch {
				case nodes >= min:
					want = Online
				case nodes > 0, clients > 0:
					want = Degraded
				}
				got, _ := Status{}.Next(nodes, clients, min)
				if got.State != want {
					t.Errorf("%d nodes, %d clients, %d wanted: got %v, want %v", nodes, clients, min, got.State, want)
				}
			}
		}
	}
	if got, _ := (Status{}).Next(0, 0, 0); got.State != Offline {
		t.Errorf("got %v with 0 wanted and nobody there, want offline", got.State)
	}
}

// conforms: comms 122
func TestStatusIsPublishedOnEntering(t *testing.T) {
	var s Status
	if s.State != Initializing {
		t.Fatalf("got %v before the first look, want initializing", s.State)
	}
	for i, c := range []struct {
		nodes, clients int
		state          State
		publish        bool
	}{
		{0, 0, Offline, true},
		{0, 0, Offline, false},
		{0, 1, Degraded, true},
		{0, 2, Degraded, false}, // clients do not count
		{1, 2, Degraded, true},
		{1, 0, Degraded, false},
		{2, 0, Online, true},
		{3, 0, Online, false},
		{2, 5, Online, false},
		{1, 5, Degraded, true},
		{0, 5, Degraded, true},
		{0, 0, Offline, true},
		{5, 0, Online, true},
	} {
		var publish bool
		s, publish = s.Next(c.nodes, c.clients, 2)
		if s.State != c.state || publish != c.publish {
			t.Errorf("step %d, %d nodes, %d clients: got %v, published %v, want %v, %v", i, c.nodes, c.clients, s.State, publish, c.state, c.publish)
		}
	}
}

func TestStatusSaysWhy(t *testing.T) {
	for want, s := range map[string]Status{
		"initializing: starting; connections not counted yet":                                {},
		"online: connected to 3 nodes":                                                       next(3, 0, 2),
		"online: connected to 1 node":                                                        next(1, 0, 1),
		"degraded: connected to 1 node, at least 2 are needed to be online":                  next(1, 4, 2),
		"degraded: connected to 1 client but to no node, at least 2 are needed to be online": next(0, 1, 2),
		"degraded: connected to 2 clients but to no node, at least 1 is needed to be online": next(0, 2, 1),
		"offline: connected to nobody":                                                       next(0, 0, 2),
	} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func next(nodes, clients, min int) Status {
	s, _ := Status{}.Next(nodes, clients, min)
	return s
}
