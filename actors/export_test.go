package actors

// Accounts is how many peers have an account for what is sent to them.
func (e *Env) Accounts() int {
	e.accounts.mu.Lock()
	defer e.accounts.mu.Unlock()
	return len(e.accounts.byPeer)
}
