package transport

import (
	"io"

	"github.com/hashicorp/go-hclog"
)

// Guardian does nothing on Windows, where every child is in a Job Object that dies with plait.
type Guardian struct{}

// NewGuardian returns a Guardian. It needs no Close, but may have one.
func NewGuardian(hclog.Logger) *Guardian { return &Guardian{} }

// Close does nothing.
func (*Guardian) Close() error { return nil }

// IsGuardian reports false: plait is never started as a guardian on Windows.
func IsGuardian([]string) bool { return false }

// RunGuardian does nothing.
func RunGuardian(io.Reader) {}
