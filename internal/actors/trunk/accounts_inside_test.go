package trunk

// Accounts is how many peers have an account for what is sent to them.
func (m *Messaging) Accounts() int {
	m.accounts.mu.Lock()
	defer m.accounts.mu.Unlock()
	return len(m.accounts.byPeer)
}
