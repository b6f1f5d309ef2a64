package config

import (
	"errors"
	"runtime"
	"testing"
)

func TestExpand(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Setenv("HOME", "") // nothing here may depend on it
	}
	env := func(name string) (string, bool) {
		value, ok := map[string]string{"A": "a", "EMPTY": "", "DOLLAR": "${A}$$", "HOME": "/home/kim", "P(x86)": "p"}[name]
		return value, ok
	}
	secret := func(kind, what string) (string, error) { return "<" + kind + " " + what + ">", nil }
	const notUnderstood = `what stands in "${…}" is not understood`
	for _, tt := range []struct{ in, want, wrong string }{
		{in: "", want: ""},
		{in: "plain", want: "plain"},
		{in: "${A}", want: "a"},
		{in: "x${A}y${A}z", want: "xayaz"},
		{in: "${env:A}", want: "a"},
		{in: "${env:B:-b}", want: "b"},
		{in: "${P(x86)}", want: "p"},
		{in: "$A $ $", want: "$A $ $"},
		{in: "$$", want: "$"},
		{in: "$$$$", want: "$$"},
		{in: "$${A}", want: "${A}"},
		{in: "$$${A}", want: "$a"},
		{in: "${DOLLAR}", want: "${A}$$"},
		{in: "${B:-${DOLLAR}}", want: "${A}$$"},
		{in: "${EMPTY}", want: ""},
		{in: "${EMPTY:-b}", want: "b"},
		{in: "${A:-b}", want: "a"},
		{in: "${B:-}", want: ""},
		{in: "${B:-x${C:-y}z}w", want: "xyzw"},
		{in: "${B:-a$$b}}", want: "a$b}"},
		{in: "${B:-$${C}}", want: "${C}"},
		{in: "${A:?needed}", want: "a"},
		{in: "${userHome}/x", want: "/home/kim/x"},
		{in: "${file:/run/secrets/x}", want: "<file /run/secrets/x>"},
		{in: "Bearer ${exec:op read ${A} '$$'}!", want: "Bearer <exec op read a '$'>!"},
		{in: "${B:-${file:b}}", want: "<file b>"},
		{in: "${file:${B}}", wrong: "variable B is not set"},
		{in: "${B}", wrong: "variable B is not set"},
		{in: "${env:B}", wrong: "variable B is not set"},
		{in: "${B:?needed}", wrong: "variable B is not set"},
		{in: "${EMPTY:?needed}", wrong: "variable EMPTY is empty"},
		{in: "${", wrong: `"${" has no "}"`},
		{in: "a${A", wrong: `"${" has no "}"`},
		{in: "${}", wrong: notUnderstood},
		{in: "${env:}", wrong: notUnderstood},
		{in: "${A-b}", wrong: notUnderstood},
		{in: "${A:+b}", wrong: notUnderstood},
		{in: "${A B}", wrong: notUnderstood},
		{in: "${:-b}", wrong: notUnderstood},
		{in: "${input:token}", wrong: "${input:token} is known to the editor only"},
		{in: "${workspaceFolder}", wrong: "${workspaceFolder} is known to the editor only"},
		{in: "${cwd}", wrong: "${cwd} is known to the editor only"},
	} {
		got, err := expansion{env, secret}.expand(tt.in, 0)
		var wrong string
		if e, ok := errors.AsType[*expandError](err); ok {
			wrong = e.msg
		}
		if got != tt.want || wrong != tt.wrong {
			t.Errorf("expand(%q) = %q, %q; want %q, %q", tt.in, got, wrong, tt.want, tt.wrong)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"url", "command", "callTimeout", "connectTimeout", "headers", "env", "envFile"}
	for word, want := range map[string]string{
		"ulr": "url", "uri": "url", "comand": "command", "Headers": "headers", "callTimeuot": "callTimeout", "x": "", "": "",
		"frobnicate": "", "envfile": "envFile", "dev": "", "URL": "url",
	} {
		if got := nearest(word, words); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "10": 10, "10B": 10, "64MiB": 64 << 20, "64 mib": 64 << 20, "1.5KiB": 1536, "2kb": 2000, "1GiB": 1 << 30, "3GB": 3e9,
		"": -1, "MiB": -1, "NaN": -1, "1e30": -1, "10MiBB": -1, "64M": -1,
	} {
		got, ok := parseSize(in)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("parseSize(%q) = %d, want %d", in, got, want)
		}
	}
}
