package transport

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/config"
)

func TestEnvironment(t *testing.T) {
	own := []string{
		"PATH=/bin", "HOME=/home/u", "LC_ALL=C", "LC_TIME=de", "LANG=C", "AWS_KEY=a", "AWS_SECRET=b=c", "TOKEN=x",
		"SHELL=() { code; }", "=C:=C:\\x", "broken", "", "Path=windows", "TERM=", "NODE_ENV=test",
	}
	tests := []struct {
		name, goos string
		server     config.Server
		want       []string
	}{
		{"minimal", "linux", config.Server{}, []string{"HOME=/home/u", "LANG=C", "LC_ALL=C", "LC_TIME=de", "PATH=/bin", "TERM="}},
		{
			"inherit by pattern, case counts", "darwin",
			config.Server{InheritEnv: []string{"AWS_*", "token", "NODE_EN?"}},
			[]string{
				"AWS_KEY=a", "AWS_SECRET=b=c", "HOME=/home/u", "LANG=C", "LC_ALL=C", "LC_TIME=de", "NODE_ENV=test", "PATH=/bin",
				"TERM=",
			},
		},
		{
			"env wins", "linux",
			config.Server{InheritEnv: []string{"AWS_KEY"}, Env: map[string]config.Secret{"AWS_KEY": "mine", "PATH": "", "X": "() {"}},
			[]string{"AWS_KEY=mine", "HOME=/home/u", "LANG=C", "LC_ALL=C", "LC_TIME=de", "PATH=", "TERM=", "X=() {"},
		},
		{
			"windows ignores case", "windows",
			config.Server{InheritEnv: []string{"aws_k*"}, Env: map[string]config.Secret{"path": "p"}},
			[]string{"AWS_KEY=a", "path=p"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := environment(tt.goos, own, &tt.server)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("environment() (-want +got):\n%s", d)
			}
		})
	}
	if _, err := environment("linux", own, &config.Server{InheritEnv: []string{"A["}}); err == nil ||
		!strings.Contains(err.Error(), `inheritEnv "A["`) {
		t.Errorf("bad pattern: error %v does not name it", err)
	}
}

// The environment of a child is not that of plait (mcp-go adds to its own and so leaks it).
func TestStdioEnvironmentIsMinimal(t *testing.T) {
	t.Setenv("PLAIT_TEST_SECRET", "leaked")
	t.Setenv("PLAIT_TEST_WANTED", "yes")
	s := childOf("server")
	s.InheritEnv = []string{"PLAIT_TEST_WAN*"}
	s.Env["OWN"] = "1"
	s.Args = []string{"a b", "", "$HOME", `"q"`}
	s.Cwd, _ = filepath.EvalSymlinks(t.TempDir())
	c := openChild(t, Options{Server: s})
	var vars, args []string
	var dir string
	callInto(t, c, "environ", "{}", &vars)
	callInto(t, c, "args", "{}", &args)
	callInto(t, c, "cwd", "{}", &dir)
	for _, want := range []string{"PLAIT_TEST_WANTED=yes", "OWN=1", "PATH=" + os.Getenv("PATH")} {
		if !slices.Contains(vars, want) {
			t.Errorf("environment %q lacks %s", vars, want)
		}
	}
	for _, v := range vars {
		name, _, _ := cutVariable(v)
		ours := []string{"PLAIT_TEST_WANTED", "OWN", childRole, "GOMAXPROCS", "GORACE"}
		if !matches(runtime.GOOS, append(needed(runtime.GOOS), ours...), name) && name != "PWD" {
			t.Errorf("the child has %s", v)
		}
	}
	if d := cmp.Diff(s.Args, args); d != "" {
		t.Errorf("args (-want +got):\n%s", d)
	}
	if dir != s.Cwd {
		t.Errorf("cwd %q, want %q", dir, s.Cwd)
	}
}

func TestFind(t *testing.T) {
	if runtime.GOOS == goosWindows {
		t.Skip("writes scripts for unix")
	}
	dir := t.TempDir()
	script := func(name, text string, mode os.FileMode) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	script("bin/tool", "#!/bin/sh\n", 0o755)
	script("bin/text", "#!/bin/sh\n", 0o644)
	script("bin/orphan", "#!/no/such/interpreter\n", 0o755)
	script("bin/binary", "nonsense", 0o755)
	bin := filepath.Join(dir, "bin")
	tests := []struct {
		name    string
		server  config.Server
		want    string // the path, or
		problem string // part of the error
	}{
		{"on the child's path", config.Server{Command: "tool", Env: map[string]config.Secret{"PATH": config.Secret("x:" + bin)}}, bin + "/tool", ""},
		{"not on the child's path", config.Server{Command: "tool"}, "", `command "tool": executable file not found in $PATH`},
		{"with its arguments", config.Server{Command: "tool --flag"}, "", `command "tool --flag": executable file not found in $PATH; write its arguments into args`},
		{"says what to do", config.Server{Command: "tool"}, "", "install it, write its full path, or set PATH in env"},
		{"absolute", config.Server{Command: bin + "/tool"}, bin + "/tool", ""},
		{"absolute, missing", config.Server{Command: bin + "/nothing"}, "", bin + `/nothing": no such file or directory; correct`},
		{"not executable", config.Server{Command: bin + "/text"}, "", "permission denied"},
		{"from cwd", config.Server{Command: "./bin/tool", Cwd: dir}, bin + "/tool", ""},
		{"not from the current folder", config.Server{Command: "environ.go", Env: map[string]config.Secret{"PATH": ".:"}}, "", "not found"},
		{"no cwd", config.Server{Command: "tool", Cwd: dir + "/no"}, "", "/no: no such file or directory; create the folder"},
		{"cwd is a file", config.Server{Command: "tool", Cwd: bin + "/tool"}, "", "tool is not a folder"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd, err := command(&tt.server)
			switch {
			case tt.problem != "":
				if err == nil || !strings.Contains(err.Error(), tt.problem) {
					t.Errorf("error %v, want %q in it", err, tt.problem)
				}
			case err != nil:
				t.Error(err)
			case cmd.Path != tt.want:
				t.Errorf("found %s, want %s", cmd.Path, tt.want)
			}
		})
	}
	for name, want := range map[string]string{"orphan": "the interpreter in its first line is missing", "binary": "it needs a first line"} {
		_, err := openStdio(t.Context(), Options{Server: &config.Server{Command: filepath.Join(bin, name)}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("start %s: error %v, want %q in it", name, err, want)
		}
	}
}
