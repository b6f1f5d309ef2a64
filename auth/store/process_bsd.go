//go:build unix && !linux

package store

import "syscall"

// endWithThread does nothing: no other kernel can, and only the keyring of Linux hangs before main.
func endWithThread(*syscall.SysProcAttr) {}
