package jsonrpc

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

var texts = []string{
	`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"n":1.0e+2,"s":"\u00e9\\\""}}}`,
	`{"jsonrpc":"2.0","id":"1","result":{"content":[{"type":"text","text":"x"}],"x":[[],{},-0,0.5E-3,true,false,null]}}`,
	` { "jsonrpc" : "2.0" , "id" : 9007199254740993 , "error" : { "code" : -1 , "message" : "" } } `,
	`[{"jsonrpc":"2.0","method":"a"},{}]`, `[]`, `{}`, `null`, `-12.5e3`, `"\ud800"`, `{"a":{"b":[1,2,{"c":"d"}]}}`,
	`{"\u0069d":1}`, `{"a":1,}`, `[1,]`, `{"a"}`, `{a:1}`, `01`, `1.`, `-`, `1e`, `tru`, `nulll`, `"\x"`, `"\u12"`, "\"\n\"", `{}{}`, `"`, ``,
	"{\"a\":\"" + "\x1f" + "\"}", `{"id":1,"id":2}`, `{"ID":1}`,
}

// FuzzScan compares the scanner with encoding/json, on the whole text and cut into pieces of every size.
func FuzzScan(f *testing.F) {
	for _, s := range texts {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		if strings.Count(string(text), "[")+strings.Count(string(text), "{") >= maxDepth {
			return
		}
		want := json.Valid(text)
		whole := scanner{}
		got := whole.feed(bytes.Clone(text)) == ""
		whole.finish()
		got = got && whole.complete()
		if skimmed := bytes.Contains(text, []byte("result")); got != want && (want || !skimmed) {
			t.Fatalf("scan %q = %v, encoding/json says %v", text, got, want)
		}
		cut = max(1, min(cut, len(text)))
		parts, ok := scanner{}, true
		for rest := bytes.Clone(text); len(rest) > 0 && ok; rest = rest[min(cut, len(rest)):] {
			ok = parts.feed(rest[:min(cut, len(rest))]) == ""
		}
		parts.finish()
		if ok = ok && parts.complete(); ok != got && want {
			t.Fatalf("scan %q in pieces of %d = %v, want %v", text, cut, ok, got)
		}
		if want && parts.envelope != whole.envelope {
			t.Fatalf("scan %q in pieces of %d finds %v, whole %v", text, cut, parts.envelope, whole.envelope)
		}
	})
}

// FuzzParse checks that whatever is taken for a message is one for encoding/json too, with the same members.
func FuzzParse(f *testing.F) {
	for _, s := range texts {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse(bytes.Clone(text))
		if err != nil || m.Kind() == Batch || m.Kind() == Response && !json.Valid(text) || !utf8.Valid(text) {
			return
		}
		var want struct {
			ID, Params, Result, Error json.RawMessage
			Method                    string
		}
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatalf("Parse took %q, encoding/json says %v", text, err)
		}
		if m.Method() != want.Method {
			t.Errorf("method of %q = %q, want %q", text, m.Method(), want.Method)
		}
		for name, pair := range map[string][2]json.RawMessage{
			"params": {m.Params(), want.Params}, "result": {m.Result(), want.Result}, "error": {m.raw(memberError), want.Error},
		} {
			if got := flat(pair[0]); !bytes.Equal(got, flat(pair[1])) && string(pair[0]) != "null" {
				t.Errorf("%s of %q = %s, want %s", name, text, got, pair[1])
			}
		}
	})
}

// flat undoes the only change that reading makes.
func flat(b []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == 0x0a || r == 0x0d {
			return 0x20
		}
		return r
	}, b)
}

func BenchmarkScan(b *testing.B) {
	const tool = `{"name":"get_thing","inputSchema":{"type":"object","properties":{"n":{"type":"integer","maximum":10}}}},`
	for name, text := range map[string]string{
		"plain":      `{"result":"` + strings.Repeat("x", 10<<20) + `"}`,
		"escapes":    `{"result":"` + strings.Repeat(`a line of some text, as \"tools\" give it\n`, 1<<18) + `"}`,
		"structured": `[` + strings.Repeat(tool, 10_000) + `1]`,
	} {
		b.Run(name, func(b *testing.B) {
			p := []byte(text)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				var s scanner
				if reason := s.feed(p); reason != "" {
					b.Fatal(reason)
				}
			}
		})
	}
}
