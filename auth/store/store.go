package store

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
)

// Kind is what records are about. Each has a folder of its own, so it is a word of lower-case letters.
type Kind string

// The kinds of records.
const (
	Clients   Kind = "clients"   // registrations at authorization servers
	Grants    Kind = "grants"    // tokens
	Pending   Kind = "pending"   // sign-ins that are not finished
	Discovery Kind = "discovery" // what authorization servers say of themselves
	Secrets   Kind = "secrets"   // what a person stored by `plait secrets set`
	Tokens    Kind = "tokens"    // what clients of plait's own endpoint have to send
)

// The words of config.Credentials.Store.
const (
	modeKeyring = "keyring"
	modeFile    = "file"
	modeMemory  = "memory"
)

// Options are what Open needs. Zero options are a store in memory.
type Options struct {
	Dir         string             // the folder when Credentials.Path is ""; without any folder the store is in memory
	Credentials config.Credentials // Store "" means auto
	Helper      []string           // the command that runs ServeKeyring; nil: no keyring is used
	Log         hclog.Logger       // nil for none
}

// Store holds records. All methods may be called at the same time, and by several processes on one folder. The owner
// closes it.
type Store struct {
	log     hclog.Logger
	medium  medium
	locks   *locks
	keys    *keys
	ring    *Keyring
	mode    string
	changes *changes

	corrupt sync.Once // what is said once of records that do not open
	lost    sync.Once // and of those whose key is gone
}

// Open returns a store. It touches neither the folder, which is made with the first record, nor a keyring: the key is
// fetched with the first record that is read or written.
func Open(o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	dir := o.Credentials.Path
	if dir == "" {
		dir = o.Dir
	}
	if dir == "" || o.Credentials.Store == modeMemory {
		return inMemory(o), nil
	}
	given, err := deriveKey(o.Credentials.Key)
	if err != nil {
		return nil, err
	}
	disk := &folder{dir: dir}
	s := &Store{
		log: o.Log, medium: disk, locks: newLocks(disk), mode: o.Credentials.Store,
		changes: newChanges(disk, o.Log),
	}
	if len(o.Helper) > 0 && s.mode != modeFile {
		s.ring = NewKeyring(o.Helper)
	}
	s.keys = &keys{
		mode: s.mode, folder: disk, locks: s.locks, ring: s.ring, log: o.Log, given: given, busy: make(chan struct{}, 1),
	}
	return s, nil
}

// inMemory returns a store that ends with the process.
func inMemory(o Options) *Store {
	s := &Store{log: o.Log, medium: newMemory(), locks: newLocks(nil), mode: modeMemory, changes: newChanges(nil, o.Log)}
	if len(o.Helper) > 0 {
		s.ring = NewKeyring(o.Helper)
	}
	s.keys = &keys{mode: modeMemory, log: o.Log, given: newSealer(sourceMemory, randomKey()), busy: make(chan struct{}, 1)}
	return s
}

// Close ends what Watch began.
func (s *Store) Close() error { return s.changes.close() }

// Backend says where the key is, as far as it is known without asking a keyring: for people.
func (s *Store) Backend() string { return s.keys.describe() }

// check returns an error for a kind that cannot be a folder.
func (k Kind) check() error {
	if k == "" || len(k) > 32 {
		return fmt.Errorf("a kind of records cannot be named %q", string(k))
	}
	for _, c := range k {
		if c < 'a' || c > 'z' {
			return fmt.Errorf("a kind of records cannot be named %q", string(k))
		}
	}
	if k == locksFolder {
		return errors.New("that folder holds locks")
	}
	return nil
}
