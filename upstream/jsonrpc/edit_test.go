package jsonrpc

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEdit(t *testing.T) {
	const text = `{ "b" : 9007199254740993 , "a":{"x":1.0,"y":[1, 2]},"\u0063":null }`
	for _, c := range []struct{ what, got, want string }{
		{"get", got(Get(Raw(text), "a", "y")), `[1, 2]`},
		{"get escaped", got(Get(Raw(text), "c")), `null`},
		{"get missing", got(Get(Raw(text), "a", "z")), ``},
		{"get through a number", got(Get(Raw(text), "b", "z")), ``},
		{"set", string(Set(Raw(text), Raw(`"v"`), "a", "x")), strings.Replace(text, "1.0", `"v"`, 1)},
		{"set new", string(Set(Raw(text), Raw(`1`), "d")), strings.Replace(text, "null ", `null ,"d":1`, 1)},
		{"set new in empty", string(Set(Raw(`{ }`), Raw(`1`), "d", "e")), `{ "d":{"e":1}}`},
		{"set over a number", string(Set(Raw(`{"a":1}`), Raw(`1`), "a", "e")), `{"a":{"e":1}}`},
		{"delete first", string(Delete(Raw(text), "b")), `{  "a":{"x":1.0,"y":[1, 2]},"\u0063":null }`},
		{"delete last", string(Delete(Raw(text), "c")), `{ "b" : 9007199254740993 , "a":{"x":1.0,"y":[1, 2]} }`},
		{"delete only", string(Delete(Raw(`{"a":1}`), "a")), `{}`},
		{"delete missing", string(Delete(Raw(text), "q", "r")), text},
	} {
		if c.got != c.want {
			t.Errorf("%s = %s, want %s", c.what, c.got, c.want)
		}
	}
}

func got(v Raw, ok bool) string {
	if !ok {
		return ""
	}
	return string(v)
}

func TestCheckMembers(t *testing.T) {
	for text, want := range map[string]string{
		`{"name":1,"other":2}`:                    "",
		`{"x":1,"x":2,"name":1}`:                  "",
		`{"name":1,"name":2}`:                     `duplicate member "name"`,
		`{"name":1,"n\u0061me":2}`:                `duplicate member "name"`,
		`{"Name":1}`:                              `member "Name" must be written "name"`,
		`{"_META":1}`:                             `member "_META" must be written "_meta"`,
		`{"arguments":{"Name":1}}`:                "",
		`{"task":1,"ta` + "\u017f" + `\u212a":2}`: `member "ta` + "\u017f\u212a" + `" must be written "task"`,
	} {
		err := CheckMembers(Raw(text), "name", "_meta", "task")
		if got := errText(err); got != want {
			t.Errorf("CheckMembers(%s) = %q, want %q", text, got, want)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzEdit sets and deletes a member and compares with the same on decoded values.
func FuzzEdit(f *testing.F) {
	f.Add(`{"a":{"b":1},"c":[1,2]}`, "a", "b", `"v"`)
	f.Add(`{ "a" : 1 }`, "z", "y", `{"k":[]}`)
	f.Add(`[1]`, "a", "b", `1`)
	f.Add(`{"a\n":"\\\"","b":{}}`, "b", "c", `null`)
	f.Fuzz(func(t *testing.T, text, first, second, value string) {
		value = strings.TrimSpace(value)
		var tree any
		if json.Unmarshal([]byte(text), &tree) != nil || !json.Valid([]byte(value)) || hasDuplicates(text) ||
			!utf8.ValidString(text) || !utf8.ValidString(first) || !utf8.ValidString(second) {
			return
		}
		_ = json.Unmarshal([]byte(text), &tree)
		set := Set(Raw(text), Raw(value), first, second)
		if got, ok := Get(set, first, second); !ok || string(got) != value {
			t.Fatalf("Set(%s, %s, %q, %q) = %s, and Get gives %s", text, value, first, second, set, got)
		}
		object, _ := tree.(map[string]any)
		if object == nil {
			object = map[string]any{}
		}
		inner, _ := object[first].(map[string]any)
		if inner == nil {
			inner = map[string]any{}
		}
		var v any
		_ = json.Unmarshal([]byte(value), &v)
		inner[second], object[first] = v, inner
		same(t, set, object)
		delete(inner, second)
		same(t, Delete(set, first, second), object)
		delete(object, first)
		same(t, Delete(set, first), object)
	})
}

func same(t *testing.T, text Raw, want any) {
	t.Helper()
	var have any
	if err := json.Unmarshal(text, &have); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !reflect.DeepEqual(have, want) {
		t.Fatalf("%s\nis  %v\nnot %v", text, have, want)
	}
}

func hasDuplicates(text string) bool {
	var walk func(Raw) bool
	walk = func(v Raw) bool {
		seen := map[string]bool{}
		for k, inner := range Members(v) {
			if seen[k] || walk(inner) || strings.Contains(k, "\ufffd") {
				return true
			}
			seen[k] = true
		}
		for e := range Elements(v) {
			if walk(e) {
				return true
			}
		}
		return false
	}
	return walk(Raw(text)) || strings.ContainsRune(text, '\ufffd')
}

func BenchmarkForward(b *testing.B) {
	text := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a_echo","arguments":{"text":"` + strings.Repeat("x", 1<<10) + `"}}}`)
	b.ReportAllocs()
	for b.Loop() {
		m, err := Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		params := Set(m.Params(), Raw(`"echo"`), "name")
		if m.WithParams("17", params).Len() == 0 {
			b.Fatal("empty")
		}
	}
}
