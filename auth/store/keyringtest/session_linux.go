package keyringtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus"
)

const (
	// hung bounds what would otherwise wait for ever.
	hung = time.Minute

	secrets  = "org.freedesktop.secrets"
	login    = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
	password = "test-password"

	// busConfig is a session bus that starts no services: what is on it is what a test put there.
	busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`
)

// Session is a session bus of its own, with folders that stand for the home. It ends with the test.
type Session struct {
	Address string
	env     map[string]string
	bus     *dbus.Conn
	daemon  *exec.Cmd // of the bus
	service *exec.Cmd // the Secret Service, nil for none
}

// StartBus starts a session bus without a Secret Service. Without the programs the test is skipped, or fails when
// PLAIT_TEST_REQUIRE=all.
func StartBus(tb testing.TB) *Session {
	tb.Helper()
	if testing.Short() {
		tb.Skip("starts processes")
	}
	dir := tb.TempDir()
	s := &Session{env: map[string]string{}}
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"} {
		s.env[name] = filepath.Join(dir, strings.ToLower(name))
		if err := os.Mkdir(s.env[name], 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	socket := filepath.Join(dir, "bus")
	if len(socket) > 100 {
		short, err := os.MkdirTemp("", "bus") //nolint:usetesting // the path of a socket must be short
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { os.RemoveAll(short) })
		socket = filepath.Join(short, "bus")
	}
	config := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, socket), 0o600); err != nil {
		tb.Fatal(err)
	}
	s.daemon = exec.CommandContext(tb.Context(), program(tb, "dbus-daemon", "dbus"), "--config-file="+config, "--nofork", "--nopidfile", "--print-address=1")
	out := start(tb, s.daemon, "")
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatalf("the bus does not start: %v", err)
	}
	s.Address = strings.TrimSpace(line)
	s.env["DBUS_SESSION_BUS_ADDRESS"] = s.Address
	s.bus = s.connect(tb)
	return s
}

// StartUnlocked starts a session with a GNOME keyring whose collection "login" is unlocked, as after a login.
func StartUnlocked(tb testing.TB) *Session {
	tb.Helper()
	s := StartBus(tb)
	s.startService(tb, "--unlock")
	return s
}

// StartEmpty starts a session with a GNOME keyring that has no collection at all, as where nobody logs in to a desktop:
// whoever makes one is asked for a password.
func StartEmpty(tb testing.TB) *Session {
	tb.Helper()
	s := StartBus(tb)
	s.startService(tb)
	return s
}

// Environ returns the variables of the session, as "NAME=VALUE".
func (s *Session) Environ() []string {
	var env []string
	for name, value := range s.env {
		env = append(env, name+"="+value)
	}
	return env
}

// Enter sets the variables in the test's own process.
func (s *Session) Enter(t *testing.T) {
	t.Helper()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	for name, value := range s.env {
		t.Setenv(name, value)
	}
}

// Lock locks the keyring.
func (s *Session) Lock(tb testing.TB) {
	tb.Helper()
	var locked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	paths := []dbus.ObjectPath{login}
	err := s.bus.Object(secrets, "/org/freedesktop/secrets").Call("org.freedesktop.Secret.Service.Lock", 0, paths).Store(&locked, &prompt)
	if err != nil {
		tb.Fatalf("lock the keyring: %v", err)
	}
}

// Unlock unlocks it with its password, as a login does.
func (s *Session) Unlock(tb testing.TB) {
	tb.Helper()
	var output dbus.Variant
	var session dbus.ObjectPath
	service := s.bus.Object(secrets, "/org/freedesktop/secrets")
	err := service.Call("org.freedesktop.Secret.Service.OpenSession", 0, "plain", dbus.MakeVariant("")).Store(&output, &session)
	if err != nil {
		tb.Fatalf("open a session: %v", err)
	}
	master := struct {
		Session           dbus.ObjectPath
		Parameters, Value []byte
		ContentType       string
	}{session, []byte{}, []byte(password), "text/plain"}
	err = service.Call("org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface.UnlockWithMasterPassword", 0, login, master).Err
	if err != nil {
		tb.Fatalf("unlock the keyring: %v", err)
	}
}

// Processes returns the command lines that hold a text, of the processes that were started into the session.
func (s *Session) Processes(tb testing.TB, program string) []string {
	tb.Helper()
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		tb.Fatal(err)
	}
	var found []string
	for _, folder := range folders {
		line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(folder, "environ"))
		text := strings.ReplaceAll(strings.TrimRight(string(line), "\x00"), "\x00", " ")
		if strings.Contains(text, program) && strings.Contains(string(env), s.Address) {
			found = append(found, text)
		}
	}
	return found
}

// HangPrompter makes whoever asks the person for a password wait for ever, and returns a channel that is closed when
// somebody has asked.
func (s *Session) HangPrompter(tb testing.TB) <-chan struct{} {
	tb.Helper()
	conn := s.connect(tb)
	p := &prompter{asked: make(chan struct{})}
	if err := conn.Export(p, "/org/gnome/keyring/Prompter", "org.gnome.keyring.internal.Prompter"); err != nil {
		tb.Fatal(err)
	}
	reply, err := conn.RequestName("org.gnome.keyring.SystemPrompter", dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		tb.Fatalf("own the name of the prompter: %v %v", reply, err)
	}
	return p.asked
}

// prompter takes every question and answers none.
type prompter struct{ asked chan struct{} }

// BeginPrompting is called by the Secret Service; the prompter would call it back.
func (p *prompter) BeginPrompting(dbus.ObjectPath) *dbus.Error {
	select {
	case <-p.asked:
	default:
		close(p.asked)
	}
	return nil
}

// StopPrompting is called when whoever asked is gone.
func (p *prompter) StopPrompting(dbus.ObjectPath) *dbus.Error { return nil }

// Freeze stops the Secret Service where it is: it takes questions and never answers.
func (s *Session) Freeze(tb testing.TB) {
	tb.Helper()
	if err := s.service.Process.Signal(syscall.SIGSTOP); err != nil {
		tb.Fatal(err)
	}
}

// FreezeBus stops the bus where it is: it takes connections and never answers.
func (s *Session) FreezeBus(tb testing.TB) {
	tb.Helper()
	if err := s.daemon.Process.Signal(syscall.SIGSTOP); err != nil {
		tb.Fatal(err)
	}
}

// startService starts the GNOME keyring and waits until it is on the bus.
func (s *Session) startService(tb testing.TB, args ...string) {
	tb.Helper()
	changes := make(chan *dbus.Signal, 16)
	s.bus.Signal(changes)
	match := "type='signal',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" + secrets + "'"
	if err := s.bus.BusObject().Call("org.freedesktop.DBus.AddMatch", 0, match).Err; err != nil {
		tb.Fatal(err)
	}
	s.service = exec.CommandContext(tb.Context(), program(tb, "gnome-keyring-daemon", "gnome-keyring"), append(args, "--foreground", "--components=secrets")...)
	s.service.Env = append(os.Environ(), s.Environ()...)
	start(tb, s.service, password)
	late := time.After(hung)
	for {
		select {
		case signal := <-changes:
			if signal.Name == "org.freedesktop.DBus.NameOwnerChanged" && len(signal.Body) == 3 && signal.Body[2] != "" {
				s.bus.RemoveSignal(changes)
				return
			}
		case <-late:
			tb.Fatal("the Secret Service does not come onto the bus")
		}
	}
}

// connect connects the test to the bus.
func (s *Session) connect(tb testing.TB) *dbus.Conn {
	tb.Helper()
	conn, err := dbus.Dial(s.Address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	if err := errors.Join(conn.Auth(nil), conn.Hello()); err != nil {
		tb.Fatal(err)
	}
	return conn
}

// start starts a program that is killed at the end of the test, and returns what it writes.
func start(tb testing.TB, cmd *exec.Cmd, input string) io.Reader {
	tb.Helper()
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return out
}

// program returns the path of a program of the system.
func program(tb testing.TB, name, pack string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	text := name + " is missing: run apt-get install -y " + pack
	if os.Getenv("PLAIT_TEST_REQUIRE") == "all" {
		tb.Fatal(text)
	}
	tb.Skip(text)
	return ""
}

// Hide takes the bus out of the variables of the session, as where there is no desktop.
func (s *Session) Hide() { delete(s.env, "DBUS_SESSION_BUS_ADDRESS") }
