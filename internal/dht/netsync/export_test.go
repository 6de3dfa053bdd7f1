package netsync

// Callers returns how many callers a Quota remembers.
func Callers(q *Quota) int { return len(q.used) }
