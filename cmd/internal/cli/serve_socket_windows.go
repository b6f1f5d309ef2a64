package cli

import "syscall"

// share does nothing: on Windows an address is not in the way of another one with the same port.
func share(syscall.RawConn, int) error { return nil }
