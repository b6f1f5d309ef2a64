package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// namesItself reports whether a file is named after a key as it is. Other keys are hashed, for they may be of any length
// and tell something.
func namesItself(key string) bool {
	const shortest, longest = 16, 64
	return len(key) >= shortest && len(key) <= longest && strings.Trim(key, "0123456789abcdef") == ""
}

// hashedPrefix begins the name of a file whose key is in the record only.
const hashedPrefix = "h-"

// fileName returns the name of a record's file.
func fileName(kind Kind, key string) string {
	if !namesItself(key) {
		key = hashedPrefix + Key(key)
	}
	return string(kind) + "/" + key + suffix
}

// Load reads a record into a value, as json.Unmarshal does, and returns its generation. ErrNotFound also stands for a
// record that is damaged, which is put aside, and for one whose key is gone for ever; both are logged, once. A KeyError
// says that its key cannot be had now.
func (s *Store) Load(ctx context.Context, kind Kind, key string, into any) (generation uint64, err error) {
	if err := kind.check(); err != nil {
		return 0, err
	}
	name := fileName(kind, key)
	c, raw, err := s.read(ctx, name)
	if err == nil && json.Unmarshal(c.Value, into) != nil {
		err = errCorrupt
	}
	switch {
	case errors.Is(err, errCorrupt):
		return 0, s.bury(ctx, kind, name, raw)
	case errors.Is(err, errLost):
		s.tellLost(name)
		return 0, ErrNotFound
	case err != nil:
		return 0, err
	}
	return c.Gen, nil
}

// Save replaces a record, or makes it, and returns its new generation. generation is the one that Load or the last Save
// returned, 0 for a record that must not be there: when another is there, ErrConflict. After a WriteError the record is
// as it was.
func (s *Store) Save(ctx context.Context, kind Kind, key string, generation uint64, value any) (uint64, error) {
	return s.store(ctx, kind, key, value, func(now uint64, err error) error {
		switch {
		case err != nil:
			return err
		case now != generation:
			return ErrConflict
		}
		return nil
	})
}

// Put replaces a record, or makes it, whatever was there. One that cannot be opened is put aside.
func (s *Store) Put(ctx context.Context, kind Kind, key string, value any) error {
	_, err := s.store(ctx, kind, key, value, func(uint64, error) error { return nil })
	return err
}

// store writes a record. allow is asked with what is there: its generation, 0 for none, and why it cannot be opened.
func (s *Store) store(ctx context.Context, kind Kind, key string, value any, allow func(uint64, error) error) (uint64, error) {
	if err := kind.check(); err != nil {
		return 0, err
	}
	data, err := json.Marshal(value)
	if err != nil {
		return 0, fmt.Errorf("encode a record of %s: %w", kind, err)
	}
	sealer, err := s.keys.current(ctx)
	if err != nil {
		return 0, err
	}
	unlock, err := s.locks.lock(ctx, writePrefix+string(kind))
	if err != nil {
		return 0, err
	}
	defer unlock()
	name := fileName(kind, key)
	now, err := s.replaceable(ctx, name, allow)
	if err != nil {
		return 0, err
	}
	// The first generation is a point in time, so that no record has the generation of one that was removed.
	next := max(now+1, uint64(time.Now().UnixMicro()))
	plain, err := json.Marshal(content{Key: key, Gen: next, Value: data})
	if err != nil {
		return 0, fmt.Errorf("encode a record of %s: %w", kind, err)
	}
	sealed, err := sealer.seal(name, plain)
	if err != nil {
		return 0, fmt.Errorf("seal a record of %s: %w", kind, err)
	}
	if len(sealed) > maxRecord {
		return 0, fmt.Errorf("a record of %s has more than %d bytes", kind, maxRecord)
	}
	if err := s.medium.write(ctx, name, sealed); err != nil {
		return 0, err
	}
	s.changes.tell(ctx)
	return next, nil
}

// replaceable asks allow about the record that is there, puts it aside when it cannot be opened, and returns its
// generation. The caller holds the lock of the kind.
func (s *Store) replaceable(ctx context.Context, name string, allow func(uint64, error) error) (uint64, error) {
	c, _, err := s.read(ctx, name)
	var sealed *KeyError
	switch {
	case err == nil:
		return c.Gen, allow(c.Gen, nil)
	case errors.Is(err, ErrNotFound):
		return 0, allow(0, nil)
	case errors.Is(err, errCorrupt), errors.Is(err, errLost):
		err = allow(0, nil)
	case errors.As(err, &sealed), errors.Is(err, errNewer):
		err = allow(0, err)
	}
	if err != nil {
		return 0, err
	}
	bad, err := s.medium.setAside(name)
	if err == nil {
		s.tellBad(bad)
	}
	return 0, err
}

// Remove removes a record. That it is not there is no error.
func (s *Store) Remove(ctx context.Context, kind Kind, key string) error {
	if err := kind.check(); err != nil {
		return err
	}
	name := fileName(kind, key)
	if _, err := s.medium.read(name); errors.Is(err, fs.ErrNotExist) {
		return nil // and nothing is made for a lock
	}
	unlock, err := s.locks.lock(ctx, writePrefix+string(kind))
	if err != nil {
		return err
	}
	defer unlock()
	err = s.medium.remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		s.changes.tell(ctx)
	}
	return err
}

// List returns the keys of the records of a kind, sorted. Damaged records are left out; those whose keys are no hex
// numbers must be opened for it, so there may be a KeyError, beside the keys of the others.
func (s *Store) List(ctx context.Context, kind Kind) ([]string, error) {
	if err := kind.check(); err != nil {
		return nil, err
	}
	names, err := s.medium.list(kind)
	if err != nil {
		return nil, err
	}
	var keys []string
	var failed error
	for _, name := range names {
		key := strings.TrimSuffix(path.Base(name), suffix)
		if strings.HasPrefix(key, hashedPrefix) {
			c, _, err := s.read(ctx, name)
			if _, ok := errors.AsType[*KeyError](err); ok {
				failed = err
			}
			if err != nil {
				continue
			}
			key = c.Key
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys, failed
}

// read opens a record. Beside errCorrupt it returns the bytes of the file.
func (s *Store) read(ctx context.Context, name string) (*content, []byte, error) {
	raw, err := s.medium.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, ErrNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	e, err := parseEnvelope(raw)
	if errors.Is(err, errNewer) {
		err = fmt.Errorf("%s: %w", name, err)
	}
	if err != nil {
		return nil, raw, err
	}
	sealer, err := s.keys.named(ctx, e.Kid)
	if err != nil {
		return nil, raw, err
	}
	plain, err := sealer.open(name, e)
	if err != nil {
		return nil, raw, err
	}
	c := &content{}
	if json.Unmarshal(plain, c) != nil {
		return nil, raw, errCorrupt
	}
	return c, raw, nil
}

// bury puts a damaged record aside, unless it was replaced meanwhile, and returns ErrNotFound.
func (s *Store) bury(ctx context.Context, kind Kind, name string, raw []byte) error {
	unlock, err := s.locks.lock(ctx, writePrefix+string(kind))
	if err != nil {
		return err
	}
	defer unlock()
	if now, err := s.medium.read(name); err != nil || !bytes.Equal(now, raw) {
		return ErrNotFound // the next who reads sees what is there now
	}
	bad, err := s.medium.setAside(name)
	if err != nil {
		return err
	}
	s.tellBad(bad)
	return ErrNotFound
}

// tellBad warns of the first record that was put aside.
func (s *Store) tellBad(name string) {
	s.log.Debug("put a saved record aside", "file", name)
	s.corrupt.Do(func() {
		s.log.Warn("saved sign-ins cannot be decrypted, they were put aside; sign in again", "file", name)
	})
}

// tellLost warns of the first record whose key is gone.
func (s *Store) tellLost(name string) {
	s.log.Debug("a saved record has a key that is gone", "file", name)
	s.lost.Do(func() {
		s.log.Warn("saved sign-ins cannot be decrypted, for their key is gone; sign in again", "file", name)
	})
}
