package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/hashicorp/go-hclog"
)

const (
	keyFile    = "key"     // holds the key where there is no keyring
	markerFile = "keyring" // names the key in the keyring, once there is one

	kekService = "plait"
	kekName    = "kek-v1"
)

// errLost says that a key is gone for ever.
var errLost = errors.New("the key is gone")

// keys finds the key that new records are sealed with, and those of old ones.
type keys struct {
	mode   string
	folder *folder // nil in memory
	locks  *locks
	ring   *Keyring // nil: none is used
	log    hclog.Logger
	given  *sealer // by the configuration, or of the memory; nil for none

	busy    chan struct{} // holds a token while somebody uses what follows
	sealing *sealer       // seals new records; nil: not known yet
	known   map[string]*sealer
}

func (k *keys) enter(ctx context.Context) error {
	select {
	case k.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// current returns what new records are sealed with. Where there is no key yet it makes one.
func (k *keys) current(ctx context.Context) (*sealer, error) {
	if k.given != nil {
		return k.given, nil
	}
	if err := k.enter(ctx); err != nil {
		return nil, err
	}
	defer func() { <-k.busy }()
	if k.sealing != nil {
		return k.sealing, nil
	}
	sealing, err := k.find(ctx)
	if err != nil {
		return nil, err
	}
	k.sealing = sealing
	k.learn(sealing)
	return sealing, nil
}

// find finds or makes the key of new records: with store auto a key file that is there goes on being used.
func (k *keys) find(ctx context.Context) (*sealer, error) {
	if k.mode != modeKeyring {
		found, err := k.readFile()
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return found, err
		}
	}
	if k.mode == modeFile {
		return k.makeFile(ctx)
	}
	found, err := k.readRing(ctx)
	var unusable *KeyringError
	switch {
	case err == nil:
		return found, k.mark(ctx, found)
	case errors.Is(err, ErrNotFound):
		return k.makeRing(ctx)
	case !errors.As(err, &unusable):
		return nil, err
	}
	kid, marked := k.marker()
	if k.mode == modeKeyring || marked {
		return nil, &KeyError{Kid: kid, Source: string(sourceKeyring), Err: wayOut(unusable)}
	}
	found, err = k.makeFile(ctx)
	if err == nil {
		k.log.Warn("the OS keyring cannot be used, a key file is used instead (0600)", "err", unusable, "file", k.folder.path(keyFile))
	}
	return found, err
}

// named returns what a record was sealed with. The error is errLost or a KeyError, or ctx has ended.
func (k *keys) named(ctx context.Context, kid string) (*sealer, error) {
	if k.given != nil && k.given.kid == kid {
		return k.given, nil
	}
	if err := k.enter(ctx); err != nil {
		return nil, err
	}
	defer func() { <-k.busy }()
	if found := k.known[kid]; found != nil {
		return found, nil
	}
	from, _, _ := strings.Cut(kid, "-")
	var found *sealer
	var err error
	switch source(from) {
	case sourceConfig:
		return nil, k.wrongConfig(kid)
	case sourceFile:
		found, err = k.readFile()
	case sourceKeyring:
		if k.mode == modeFile {
			return nil, errLost // whoever says so wants no keyring any more
		}
		found, err = k.readRing(ctx)
	default:
		return nil, &KeyError{Kid: kid, Source: from, Err: errNewer}
	}
	var unusable *KeyringError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errLost
	case errors.As(err, &unusable):
		return nil, &KeyError{Kid: kid, Source: from, Err: wayOut(unusable)}
	case err != nil:
		return nil, err
	}
	k.learn(found)
	if found.kid != kid {
		return nil, errLost
	}
	return found, nil
}

func (k *keys) learn(s *sealer) {
	if k.known == nil {
		k.known = map[string]*sealer{}
	}
	k.known[s.kid] = s
}

func (k *keys) wrongConfig(kid string) error {
	err := errors.New("credentials.key is not set; set it, or sign in again")
	if k.given != nil {
		err = errors.New("credentials.key is another one now; set the former one, or sign in again")
	}
	return &KeyError{Kid: kid, Source: string(sourceConfig), Err: err}
}

// wayOut adds what to do.
func wayOut(e *KeyringError) error {
	if e.Reason == ReasonLocked {
		return fmt.Errorf("%w; unlock it with plait secrets unlock, or set credentials.store: file and sign in again", e)
	}
	return fmt.Errorf("%w; start it, or set credentials.store: file and sign in again", e)
}

// readRing reads the key in the keyring. The error is ErrNotFound or a *KeyringError, or ctx has ended.
func (k *keys) readRing(ctx context.Context) (*sealer, error) {
	if k.ring == nil {
		return nil, &KeyringError{Reason: ReasonAbsent}
	}
	text, err := k.ring.Get(ctx, kekService, kekName)
	if err != nil {
		return nil, err
	}
	key, err := decodeKey([]byte(text))
	if err != nil {
		return nil, &KeyringError{Reason: ReasonBroken, Detail: "its entry " + kekService + "/" + kekName + " is no key"}
	}
	return newSealer(sourceKeyring, key), nil
}

// makeRing makes the key in the keyring, unless another process did, and reads it again to see that it stays.
func (k *keys) makeRing(ctx context.Context) (*sealer, error) {
	unlock, err := k.locks.lock(ctx, keyLock)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if k.mode != modeKeyring {
		if found, err := k.readFile(); err == nil {
			return found, nil
		}
	}
	found, err := k.readRing(ctx)
	if errors.Is(err, ErrNotFound) {
		key := randomKey()
		if err = k.ring.Set(ctx, kekService, kekName, string(encodeKey(key))); err == nil {
			found, err = k.readRing(ctx)
		}
		if err == nil && found.kid != newSealer(sourceKeyring, key).kid {
			err = &KeyringError{Reason: ReasonBroken, Detail: "it gives back another key than it was given"}
		}
	}
	var unusable *KeyringError
	switch {
	case err == nil:
		return found, k.mark(ctx, found)
	case errors.Is(err, ErrNotFound):
		unusable = &KeyringError{Reason: ReasonBroken, Detail: "it does not keep what it was given"}
	case !errors.As(err, &unusable):
		return nil, err
	}
	return nil, &KeyError{Source: string(sourceKeyring), Err: wayOut(unusable)}
}

// marker returns the name of the key in the keyring that records were sealed with, if there is one.
func (k *keys) marker() (string, bool) {
	data, err := k.folder.read(markerFile)
	return strings.TrimSpace(string(data)), err == nil
}

// mark notes that the keyring holds a key: when it cannot be had one day, no other is made.
func (k *keys) mark(ctx context.Context, s *sealer) error {
	if kid, ok := k.marker(); ok && kid == s.kid {
		return nil
	}
	return k.folder.write(ctx, markerFile, []byte(s.kid+"\n"))
}

// readFile reads the key file.
func (k *keys) readFile() (*sealer, error) {
	data, err := k.folder.read(keyFile)
	if err != nil {
		return nil, err
	}
	key, err := decodeKey(data)
	if err != nil {
		return nil, &KeyError{Source: string(sourceFile), Err: fmt.Errorf("%s holds no key; remove it and sign in again", k.folder.path(keyFile))}
	}
	return newSealer(sourceFile, key), nil
}

// makeFile makes the key file, unless another process did.
func (k *keys) makeFile(ctx context.Context) (*sealer, error) {
	unlock, err := k.locks.lock(ctx, keyLock)
	if err != nil {
		return nil, err
	}
	defer unlock()
	found, err := k.readFile()
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	if _, marked := k.marker(); marked && k.mode != modeFile {
		return nil, &KeyError{Source: string(sourceKeyring), Err: errors.New("another process found a keyring just now; try again")}
	}
	key := randomKey()
	if err := k.folder.write(ctx, keyFile, encodeKey(key)); err != nil {
		return nil, err
	}
	return newSealer(sourceFile, key), nil
}

// describe says where the key of new records is, as far as that is known without asking a keyring.
func (k *keys) describe() string {
	switch {
	case k.mode == modeMemory:
		return "memory"
	case k.given != nil:
		return "credentials.key"
	case k.mode == modeKeyring:
		return "keyring"
	case k.mode == modeFile:
		return "key file " + k.folder.path(keyFile) + " (0600)"
	}
	if _, err := k.folder.read(keyFile); err == nil {
		return "key file " + k.folder.path(keyFile) + " (0600)"
	}
	return "keyring"
}

func encodeKey(key []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(key) + "\n") }

func decodeKey(data []byte) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(data)))
	if err != nil || len(key) != keySize {
		return nil, errCorrupt
	}
	return key, nil
}
