package auth

import "maps"

// Renewals counts the tokens of an identity that were asked for without a person.
type Renewals struct{ OK, Failed uint64 }

// Renewals returns what every identity has asked for since the start, by its name.
func (m *Manager) Renewals() map[string]Renewals {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.renewals)
}

// count notes that a token was asked for.
func (m *Manager) count(identity string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.renewals[identity]
	if err == nil {
		n.OK++
	} else {
		n.Failed++
	}
	m.renewals[identity] = n
}
