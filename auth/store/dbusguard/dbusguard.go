// Package dbusguard hides the D-Bus session bus from the packages that would connect to it as soon as they are imported.
//
// github.com/99designs/keyring does so on Linux: without a bus it even starts one (dbus-launch), which stays behind. Go
// initialises packages in the order of their paths as soon as what they import is (Go spec, "Program
// initialization"): this one imports less than the D-Bus client does, so it comes first.
package dbusguard

import "os"

const (
	// HelperArg is the only argument of plait as the helper that asks the keyring: it alone sees the bus.
	HelperArg = "keyring-helper"

	variable = "DBUS_SESSION_BUS_ADDRESS"
	hidden   = "hidden:" // a transport that no client knows: to dial it fails at once
)

var inherited, wasSet = os.LookupEnv(variable)

func init() { //nolint:gochecknoinits // the whole point: it runs before the init of the keyring
	if IsHelper(os.Args) {
		show()
		return
	}
	_ = os.Setenv(variable, hidden)
}

// IsHelper reports whether args, with which a program was started, ask it to be the helper.
func IsHelper(args []string) bool { return len(args) == 2 && args[1] == HelperArg }

// Restore gives the environment of the process the address that it was started with, for the children. The program
// calls it before it starts anything.
func Restore() {
	if wasSet {
		_ = os.Setenv(variable, inherited)
		return
	}
	_ = os.Unsetenv(variable)
}
