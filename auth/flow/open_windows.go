package flow

import (
	"os/exec"
	"syscall"
)

// apart keeps the browser from the signals of plait's console.
func apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
