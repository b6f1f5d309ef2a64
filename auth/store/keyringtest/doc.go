// Package keyringtest runs a real keyring for tests: a session bus and a Secret Service of their own, on Linux.
package keyringtest
