//go:build unix

package flow

import (
	"os/exec"
	"syscall"
)

// apart keeps the browser from the signals of plait's terminal.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
