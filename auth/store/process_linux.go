package store

import "syscall"

// endWithThread has the kernel kill a process when the thread that starts it ends: the keyring can hang before the first
// line of main, where nobody sees yet that plait is gone.
func endWithThread(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
