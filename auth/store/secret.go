package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// secret is what the record of a secret holds.
type secret struct {
	Value   string `json:"value,omitempty"`
	Keyring bool   `json:"keyring,omitempty"` // the value is in the keyring
}

// Place is where a secret is.
type Place string

// Where secrets are.
const (
	InKeyring Place = "OS keyring"
	InStore   Place = "sealed store"
)

// Secret returns a secret that SetSecret, or another program, stored: from the keyring, else from the store. It is what
// ${keyring:SERVICE/KEY} stands for.
func (s *Store) Secret(ctx context.Context, service, key string) (string, error) {
	name, err := secretName(service, key)
	if err != nil {
		return "", err
	}
	failed := ErrNotFound
	if s.ring != nil {
		value, err := s.ring.Get(ctx, service, key)
		if err == nil || ctx.Err() != nil {
			return value, err
		}
		failed = s.nowhere(err)
	}
	var kept secret
	if _, err := s.Load(ctx, Secrets, name, &kept); err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	} else if err != nil || kept.Keyring {
		return "", failed
	}
	return kept.Value, nil
}

// SetSecret stores a secret: in the keyring, or in the store when there is no keyring, and says where.
func (s *Store) SetSecret(ctx context.Context, service, key, value string) (Place, error) {
	name, err := secretName(service, key)
	if err != nil {
		return "", err
	}
	if s.mode == modeMemory {
		return "", errors.New("credentials.store is memory, which keeps nothing; set it to auto")
	}
	kept, place := secret{Value: value}, InStore
	if s.ring != nil {
		err := s.ring.Set(ctx, service, key, value)
		var unusable *KeyringError
		switch {
		case err == nil:
			kept, place = secret{Keyring: true}, InKeyring
		case !errors.As(err, &unusable), s.mode == modeKeyring:
			return "", err
		}
	}
	return place, s.Put(ctx, Secrets, name, kept)
}

// RemoveSecret removes a secret from where it is. ErrNotFound says that it was nowhere.
func (s *Store) RemoveSecret(ctx context.Context, service, key string) error {
	name, err := secretName(service, key)
	if err != nil {
		return err
	}
	var kept secret
	_, missing := s.Load(ctx, Secrets, name, &kept)
	if missing != nil && !errors.Is(missing, ErrNotFound) {
		return missing
	}
	if s.ring != nil && (missing != nil || kept.Keyring) {
		err := s.nowhere(s.ring.Delete(ctx, service, key))
		if err == nil {
			missing = nil
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	if missing != nil {
		return missing
	}
	return s.Remove(ctx, Secrets, name)
}

// nowhere takes a keyring that is not there for an empty one, unless the configuration wants it.
func (s *Store) nowhere(err error) error {
	if e, ok := errors.AsType[*KeyringError](err); ok && e.Reason == ReasonAbsent && s.mode != modeKeyring {
		return ErrNotFound
	}
	return err
}

// SecretNames returns what SetSecret stored, as SERVICE/KEY.
func (s *Store) SecretNames(ctx context.Context) ([]string, error) { return s.List(ctx, Secrets) }

// Unlock has a locked keyring ask the person, and waits up to 2 minutes for it.
func (s *Store) Unlock(ctx context.Context) error {
	if s.ring == nil {
		return &KeyringError{Reason: ReasonAbsent, Detail: "credentials.store is " + s.mode}
	}
	return s.ring.Unlock(ctx)
}

// secretName returns SERVICE/KEY. A service has no slash; a key may.
func secretName(service, key string) (string, error) {
	switch {
	case service == "" || key == "" || strings.Contains(service, "/"):
		return "", fmt.Errorf("a secret is named SERVICE/KEY, not %q", service+"/"+key)
	case service == kekService && key == kekName:
		return "", errors.New("that is the key of the store itself")
	}
	return service + "/" + key, nil
}
