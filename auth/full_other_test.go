//go:build !unix

package auth_test

// programs are what the test binary can be.
func programs() map[string]func(args []string) error { return map[string]func([]string) error{} }
