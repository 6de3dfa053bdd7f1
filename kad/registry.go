package kad

import "sync"

// Registry has the running clients of a [Host], which embeds one.
type Registry struct {
	mu     sync.Mutex
	byName map[string]*Client
	order  []string
}

func (l *Registry) registry() *Registry { return l }

// Client returns the running client of a name, or false.
func (l *Registry) Client(name string) (*Client, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.byName[name]
	return c, c != nil
}

// reserve takes a name, and reports whether it was free.
func (l *Registry) reserve(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, taken := l.byName[name]; taken {
		return false
	}
	if l.byName == nil {
		l.byName = make(map[string]*Client)
	}
	l.byName[name] = nil
	l.order = append(l.order, name)
	return true
}

func (l *Registry) set(name string, c *Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byName[name] = c
}

func (l *Registry) remove(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byName, name)
	for i, n := range l.order {
		if n == name {
			l.order = append(l.order[:i:i], l.order[i+1:]...)
			return
		}
	}
}

// Clients returns the running clients in the order of their start.
func (l *Registry) Clients() (all []*Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range l.order {
		if c := l.byName[name]; c != nil {
			all = append(all, c)
		}
	}
	return all
}
