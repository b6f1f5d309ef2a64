//go:build !linux

package store_test

import "errors"

// noSpace cannot be done here.
func noSpace([]string) error { return errors.New("no disk of its own") }
