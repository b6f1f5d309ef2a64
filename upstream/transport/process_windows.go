package transport

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// group is a Job Object that a child and all that it starts belong to. Windows kills its members when the last handle
// is closed, which also happens when plait is killed: there is no guardian.
type group struct{ job windows.Handle }

// launch starts the child without a console window and puts it into its job.
func (p *process) launch(*Guardian) error {
	job, err := newJob()
	if err != nil {
		return err
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NO_WINDOW}
	if err := p.cmd.Start(); err != nil {
		_ = windows.CloseHandle(job)
		return err
	}
	p.group.job = job
	var assign error
	err = p.cmd.Process.WithHandle(func(handle uintptr) {
		assign = windows.AssignProcessToJobObject(job, windows.Handle(handle))
	})
	if err == nil {
		err = assign
	}
	if err != nil {
		_ = p.cmd.Process.Kill()
		p.awaitExit()
		p.reap()
		return fmt.Errorf("put into a job: %w", err)
	}
	return nil
}

func newJob() (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, fmt.Errorf("make a job: %w", err)
	}
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info))) //nolint:gosec // what the call wants
	if err != nil {
		_ = windows.CloseHandle(job)
		return 0, fmt.Errorf("set up a job: %w", err)
	}
	return job, nil
}

// awaitExit blocks until the child has exited.
func (p *process) awaitExit() { _ = p.cmd.Wait() } // the state says it better

// terminate ends the group: Windows has no way to ask a program without a window to exit.
func (p *process) terminate() { p.kill() }

// kill ends every member of the job. An error means that nobody is left.
func (p *process) kill() { _ = windows.TerminateJobObject(p.group.job, 1) }

// reap closes the job, which kills who is left in it. Nothing else may be called afterwards.
func (p *process) reap() *os.ProcessState {
	_ = windows.CloseHandle(p.group.job)
	return p.cmd.ProcessState
}

// nonblocking writes nothing: a pipe of Windows cannot say what it takes without waiting.
type nonblocking struct{}

func newNonblocking(syscall.RawConn) *nonblocking { return &nonblocking{} }

func (*nonblocking) write([]byte) (int, error) { return 0, nil }
