package credit

// An account with waiters is in one of three places: blocked by its own limit, in
// no line; in the line of the budget it draws on; or, when that is a part, in the
// line of a budget above, with all budgets below already charged. Each line is first
// come, first served. A served account goes to the end with its next waiter.

// place puts a into the line of its budget if a's own limit admits its first
// waiter. The caller holds q.mu and a.mu.
func (q *queues) place(a *Account) {
	if a.line == nil && a.head != nil && a.fits(a.head.cost) {
		a.budget.append(a)
	}
}

// leave takes a out of its line. The caller holds q.mu and a.mu.
func (q *queues) leave(a *Account) {
	if a.line == nil {
		return
	}
	line := a.line
	line.remove(a)
	if a.reserved != 0 {
		a.budget.releaseBelow(line, a.reserved) // served by the caller's serve
		a.reserved = 0
	}
}

// serve admits all waiters that it can. The caller holds q.mu and no account's
// mutex.
func (q *queues) serve() {
	for again := true; again; {
		again = false
		for _, part := range q.budgets {
			if part.serve() {
				again = true
			}
		}
		if q.root.serve() {
			again = true
		}
	}
}

// serve serves one line until its first account cannot be served. It reports
// whether it served any.
func (b *Budget) serve() (did bool) {
	for a := b.first; a != nil; a = b.first {
		a.mu.Lock()
		cost := a.head.cost
		if !b.charge(cost, true) {
			a.mu.Unlock()
			return did
		}
		did = true
		b.remove(a)
		if b.parent != nil {
			a.reserved = cost
			b.parent.append(a)
		} else {
			a.reserved = 0
			a.used += cost
			a.decide(a.head, nil)
			b.queue.place(a)
		}
		a.mu.Unlock()
	}
	return did
}

// append puts a at the end of b's line. It marks the budget as waited for before
// the next attempt to charge it, so that no return is missed.
func (b *Budget) append(a *Account) {
	a.line, a.prevA, a.next = b, b.last, nil
	if b.last != nil {
		b.last.next = a
	} else {
		b.first = a
		b.state.Or(1)
	}
	b.last = a
}

// remove takes a out of b's line.
func (b *Budget) remove(a *Account) {
	if a.prevA != nil {
		a.prevA.next = a.next
	} else {
		b.first = a.next
	}
	if a.next != nil {
		a.next.prevA = a.prevA
	} else {
		b.last = a.prevA
	}
	a.line, a.prevA, a.next = nil, nil, nil
	if b.first == nil {
		b.state.And(^int64(1))
	}
}
