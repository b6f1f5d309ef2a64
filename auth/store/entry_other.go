//go:build !linux

package store

import (
	"errors"
	"runtime"

	"github.com/99designs/keyring"
)

// openEntry opens the keychain of macOS or the credential manager of Windows. There a person would be asked by the
// system itself, which plait cannot know before.
func openEntry(q request) (*entry, error) {
	if q.Op == opUnlock {
		return nil, &KeyringError{Reason: ReasonBroken, Detail: "the system unlocks it by itself"}
	}
	backend := keyring.KeychainBackend
	if runtime.GOOS == "windows" {
		backend = keyring.WinCredBackend
	}
	ring, err := keyring.Open(keyring.Config{
		AllowedBackends:          []keyring.BackendType{backend},
		ServiceName:              q.Service,
		WinCredPrefix:            "plait",
		KeychainTrustApplication: true,
	})
	if errors.Is(err, keyring.ErrNoAvailImpl) {
		err = &KeyringError{Reason: ReasonAbsent, Detail: "this build of plait knows none"}
	}
	return &entry{ring: ring, key: q.Key, label: q.Service + "/" + q.Key}, err
}
