package store

import (
	"errors"
	"fmt"
	"io/fs"
)

var (
	// ErrNotFound says that there is no such record or secret. It is an fs.ErrNotExist.
	ErrNotFound = fmt.Errorf("no such record: %w", fs.ErrNotExist)
	// ErrConflict says that somebody else replaced the record meanwhile.
	ErrConflict = errors.New("the record was changed meanwhile")
)

// KeyError says that the key that seals records cannot be had now. The records are as they were.
type KeyError struct {
	Kid    string // the key of a record, "" when a key for new records is wanted
	Source string // where the key is: "keyring", "file", "config"
	Err    error  // why it cannot be had, and what to do
}

// Error implements error.
func (e *KeyError) Error() string {
	what := "the key that seals saved sign-ins cannot be had"
	if e.Kid != "" {
		what = "saved sign-ins are sealed with a key that cannot be had now (" + e.Kid + ")"
	}
	return what + ": " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *KeyError) Unwrap() error { return e.Err }

// WriteError says that a record could not be written: the disk is full, the folder read-only. What was there before is
// still there.
type WriteError struct {
	Path string
	Err  error
}

// Error implements error.
func (e *WriteError) Error() string { return "write " + e.Path + ": " + cause(e.Err).Error() }

// Unwrap returns the reason.
func (e *WriteError) Unwrap() error { return e.Err }

// UnsafeError says that others may read or write what only the user should.
type UnsafeError struct {
	Path string
	Why  string // ends with what to do
}

// Error implements error.
func (e *UnsafeError) Error() string { return e.Path + " " + e.Why }

// Reason is why a keyring gives nothing.
type Reason string

// Why a keyring gives nothing.
const (
	ReasonAbsent Reason = "absent" // there is none
	ReasonLocked Reason = "locked" // it would have to ask a person
	ReasonSilent Reason = "silent" // it did not answer in time
	ReasonBroken Reason = "broken" // it answered something else
)

// KeyringError says that the keyring of the operating system cannot be used now. That an entry is not there is
// ErrNotFound instead.
type KeyringError struct {
	Reason Reason
	Detail string // what the keyring said, "" for nothing
}

// Error implements error.
func (e *KeyringError) Error() string {
	text := "the OS keyring cannot be used"
	switch e.Reason {
	case ReasonAbsent:
		text = "there is no OS keyring"
	case ReasonLocked:
		text = "the OS keyring is locked"
	case ReasonSilent:
		text = "the OS keyring did not answer in time"
	case ReasonBroken, reasonNotFound:
	}
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	return text
}

// cause returns err without the path that a PathError or LinkError repeats.
func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}
