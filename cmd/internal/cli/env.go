package cli

import (
	"io"
	"os"

	"github.com/mattn/go-isatty"
)

// Env is what a run of plait has of the outside.
type Env struct {
	In        io.Reader
	Out       io.Writer // results, and MCP
	Err       io.Writer // everything said to a person
	LookupEnv func(name string) (string, bool)

	// Executable returns the path of this program, for the parts of it that run as processes of their own.
	Executable func() (string, error)

	// Exit ends the process at once, for when the other end of Out keeps it from ending in good order.
	Exit func(code int)
}

// OS returns the environment of the process.
func OS() Env {
	return Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, LookupEnv: os.LookupEnv, Executable: os.Executable, Exit: os.Exit}
}

// isTerminal reports whether a person reads what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
