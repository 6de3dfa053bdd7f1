package supervisor

// A child with Spec.Keeps that stops because its parent restarts leaves its queue in its
// cell. Its mailbox still takes messages, in their order: those of senders that have its PID
// and those that would be dead letters. The next cell of the same path inherits the queue
// before its Started. The parent discards what nobody has inherited, at the end of its own
// Started or when it stops.

// postKept posts a message to a cell that is alive, or keeps messages. It reports whether
// it did.
func (c *cell) postKept(m any) bool {
	c.mu.Lock()
	dead := c.closed && !c.kept && c.heir == nil
	c.mu.Unlock()
	if !dead {
		c.PostUserMessage(m)
	}
	return !dead
}

// bequeath moves the kept messages to the front of the next cell's queue. The next cell has
// no invoker yet, so nobody takes its messages. From now on what is sent here goes there.
func (c *cell) bequeath(to *cell) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.kept {
		return
	}
	c.kept, c.heir = false, to
	to.mu.Lock()
	defer to.mu.Unlock()
	came := to.user // from senders that knew the name
	to.user = c.user
	c.user.release()
	for m, ok := came.pop(); ok; m, ok = came.pop() {
		to.user.push(m)
	}
	to.high = max(to.high, to.user.n)
	to.mark, to.markAt = uint64(to.user.n), to.host.nanos()
}

// dropKept discards what stopped children have kept and nobody has inherited.
func (c *cell) dropKept() {
	if !c.fosters.Load() {
		return
	}
	for _, child := range officeOf(c.host.sys).kept(c) {
		child.discardLeft()
	}
}

// kept returns the cells that keep messages for children of parent.
func (o *office) kept(parent *cell) (all []*cell) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.keepers {
		if c.parent == parent && c.stoppedKept() {
			all = append(all, c)
		}
	}
	return all
}

func (c *cell) stoppedKept() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept
}
