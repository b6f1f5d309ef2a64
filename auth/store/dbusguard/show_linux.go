package dbusguard

import (
	"os"
	"strconv"
)

// show lets the bus be seen that there is, and no other: without one the client would start one.
func show() {
	if wasSet && inherited != "" && inherited != "autolaunch:" {
		return
	}
	folder, ok := os.LookupEnv("XDG_RUNTIME_DIR")
	if !ok {
		folder = "/run/user/" + strconv.Itoa(os.Getuid())
	}
	address := hidden
	if info, err := os.Stat(folder + "/bus"); err == nil && info.Mode().Type() == os.ModeSocket {
		address = "unix:path=" + folder + "/bus" // where systemd puts it
	}
	_ = os.Setenv(variable, address)
}
