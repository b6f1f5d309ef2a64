package jsonrpc

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text   string
		kind   Kind
		id     ID
		method string
	}{
		{`{"jsonrpc":"2.0","id":1,"method":"ping"}`, Request, "1", "ping"},
		{`{"jsonrpc":"2.0","id":"1","method":"ping","params":[]}`, Request, `"1"`, "ping"},
		{`{"id":9007199254740993,"jsonrpc":"2.0","method":"a\/b"}`, Request, "9007199254740993", "a/b"},
		{`{"jsonrpc":"2.0","id":"\u0041","method":"x"}`, Request, `"\u0041"`, "x"},
		{`{"jsonrpc":"2.0","method":"x","extra":{"id":1}}`, Notification, "", "x"},
		{`{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}`, Response, "null", ""},
		{`{"jsonrpc":"2.0","id":1e3,"result":null}`, Response, "1e3", ""},
		{`[]`, Batch, "", ""},
	} {
		m, err := Parse([]byte(c.text))
		if err != nil {
			t.Errorf("Parse(%s): %v", c.text, err)
			continue
		}
		if m.Kind() != c.kind || m.ID() != c.id || m.Method() != c.method {
			t.Errorf("Parse(%s) = %v %s %q, want %v %s %q", c.text, m.Kind(), m.ID(), m.Method(), c.kind, c.id, c.method)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		text, reason string
		code         int
		id           ID
		noise        bool
	}{
		{`Listening on 3000`, "a value is missing", CodeParse, "null", true},
		{`{"jsonrpc":"2.0","id":7,"method":}`, "a value is missing", CodeParse, "7", false},
		{`{"jsonrpc":"2.0","id":7,"method":"a"`, "the message is not complete", CodeParse, "7", false},
		{`{"jsonrpc":"2.0","id":7,"id":8,"method":"a"}`, "duplicate member id", CodeInvalidRequest, "null", false},
		{`{"jsonrpc":"2.0","id":7,"\u0069d":8,"method":"a"}`, "duplicate member id", CodeInvalidRequest, "null", false},
		{`{"jsonrpc":"2.0","id":7,"Method":"a","method":"b"}`, "member Method must be written method", CodeInvalidRequest, "null", false},
		{`{"jsonrpc":"2.0","id":7,"param` + "\u017f" + `":1,"method":"b"}`, "member param\u017f must be written params", CodeInvalidRequest, "null", false},
		{`{"jsonrpc":"1.0","id":7,"method":"a"}`, `member jsonrpc must be "2.0"`, CodeInvalidRequest, "7", false},
		{`{"jsonrpc":"2.0","id":{},"method":"a"}`, "id must be a string or a number", CodeInvalidRequest, "null", false},
		{`{"jsonrpc":"2.0","id":null,"method":"a"}`, "id must be a string or a number", CodeInvalidRequest, "null", false},
		{`{"jsonrpc":"2.0","id":1,"method":"a","params":"x"}`, "params must be an object or an array", CodeInvalidRequest, "1", false},
		{`{"jsonrpc":"2.0","id":1,"method":"a","result":1}`, "a message with a method has neither result nor error", CodeInvalidRequest, "1", false},
		{`{"jsonrpc":"2.0","id":1,"error":{},"result":1}`, "a response has either result or error", CodeInvalidRequest, "1", false},
		{`{"jsonrpc":"2.0","id":1,"error":"x"}`, "error must be an object", CodeInvalidRequest, "1", false},
		{`{"jsonrpc":"2.0","result":1}`, "id is missing", CodeInvalidRequest, "null", false},
		{`{"jsonrpc":"2.0"}`, "method is missing", CodeInvalidRequest, "null", false},
		{`7`, "a message is an object", CodeInvalidRequest, "null", true},
		{strings.Repeat("[", maxDepth+1), "nested too deep", CodeParse, "null", false},
	} {
		_, err := Parse([]byte(c.text))
		var bad *MalformedError
		if !errors.As(err, &bad) {
			t.Errorf("Parse(%.60s) = %v, want a MalformedError", c.text, err)
			continue
		}
		if bad.Reason != c.reason || bad.Code != c.code || bad.ID != c.id || bad.Noise != c.noise {
			t.Errorf("Parse(%.60s) = %q %d %s noise=%v, want %q %d %s noise=%v", c.text, bad.Reason, bad.Code, bad.ID, bad.Noise,
				c.reason, c.code, c.id, c.noise)
		}
	}
}

// TestPieces cuts a message into pieces at every size and wants the same members and edits.
func TestPieces(t *testing.T) {
	const text = `{"x":0,"id":12,"jsonrpc":"2.0","result":{"a":[1,2,3],"b":"c"},"y":{"z":1}}`
	for size := 1; size <= len(text); size++ {
		a := NewAssembler(1000, 0)
		for rest := text; rest != ""; rest = rest[min(size, len(rest)):] {
			piece := rest[:min(size, len(rest))]
			a.pieces = append(a.pieces, make([]byte, 0, len(piece)))
			_, _ = a.Write([]byte(piece))
		}
		m, err := a.Message()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(m.Text().Bytes()); got != text {
			t.Fatalf("pieces of %d: text %s", size, got)
		}
		if got := string(m.Result()); got != `{"a":[1,2,3],"b":"c"}` {
			t.Errorf("pieces of %d: result %s", size, got)
		}
		if got, want := string(m.WithID(`"q"`).Bytes()), strings.Replace(text, "12", `"q"`, 1); got != want {
			t.Errorf("pieces of %d: WithID gives %s", size, got)
		}
		want := strings.Replace(strings.Replace(text, "12", "5", 1), `{"a":[1,2,3],"b":"c"}`, "7", 1)
		if got := string(m.WithResult("5", Raw("7")).Bytes()); got != want {
			t.Errorf("pieces of %d: WithResult gives %s", size, got)
		}
	}
}

func TestWithParamsAdds(t *testing.T) {
	m, err := Parse([]byte(`{"jsonrpc":"2.0","id":1,"method":"a" } `))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(m.WithParams("2", Raw(`{}`)).Bytes()), `{"jsonrpc":"2.0","id":2,"method":"a" ,"params":{}} `; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReader(t *testing.T) {
	long := `{"jsonrpc":"2.0","id":3,"result":"` + strings.Repeat("x", 3*readBuffer) + `"}`
	in := "\ufeff{\"jsonrpc\":\"2.0\",\"method\":\"a\"}\r\n\n  \r\nListening on 3000\n" + long + "\n" +
		`{"jsonrpc":"2.0","id":4,"result":"` + strings.Repeat("y", 4*readBuffer) + "\"}\n" + `{"jsonrpc":"2.0","id":5,"result":{}}`
	r := NewReader(strings.NewReader(in), int64(len(long)))
	var got []string
	for {
		m, err := r.Read()
		var bad *MalformedError
		switch {
		case errors.Is(err, io.EOF):
			want := []string{"notification a", "noise a value is missing", "3", "bad the message is longer than the limit 4", "5"}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("read (-want +got):\n%s", d)
			}
			return
		case errors.As(err, &bad) && bad.Noise:
			got = append(got, "noise "+bad.Reason)
		case errors.As(err, &bad):
			got = append(got, "bad "+bad.Reason+" "+string(bad.ID))
		case err != nil:
			t.Fatal(err)
		case m.Kind() == Notification:
			got = append(got, "notification "+m.Method())
		default:
			got = append(got, string(m.ID()))
		}
	}
}

func TestPrettyBecomesOneLine(t *testing.T) {
	a := NewAssembler(1000, 0)
	_, _ = a.ReadFrom(strings.NewReader("{\n \"jsonrpc\": \"2.0\",\r\n\t\"id\": 1, \"result\": [\n1 ] }\n"))
	m, err := a.Message()
	if err != nil {
		t.Fatal(err)
	}
	if text := string(m.Text().Bytes()); strings.ContainsAny(text, "\r\n") || string(m.Result()) != "[ 1 ]" {
		t.Errorf("got %q", text)
	}
}

// The answer to a call may be too long and say only at its end whose answer it is.
func TestTooLongKeepsID(t *testing.T) {
	const limit = 10_000
	long := `"` + strings.Repeat("x", 3*limit) + `"`
	for _, c := range []struct {
		text string
		id   ID
		call bool
	}{
		{`{"jsonrpc":"2.0","id":5,"result":` + long + `}`, "5", false},
		{`{"result":` + long + `,"jsonrpc":"2.0","id":5}`, "5", false},
		{`{"result":` + long + `,"id":"five","x":` + long + `,"jsonrpc":"2.0"}`, `"five"`, false},
		{`{"x":"` + strings.Repeat("y", limit-20) + `","id":12345,"result":` + long + `}`, "12345", false},
		{`{"jsonrpc":"2.0","params":` + long + `,"method":"m","id":6}`, "6", true},
		{`{"result":` + long + `,"jsonrpc":"2.0","id":{}}`, Null, false},
		{`{"result":` + long + `,"id":5`, Null, false},
	} {
		for _, size := range []int{1, 7, 4096, len(c.text)} {
			a := NewAssembler(limit, 0)
			for rest := []byte(c.text); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				_, _ = a.Write(rest[:min(size, len(rest))])
			}
			var bad *MalformedError
			if _, err := a.Message(); !errors.As(err, &bad) || !strings.Contains(bad.Reason, "longer than the limit") {
				t.Fatalf("error %v", err)
			}
			if bad.ID != c.id || bad.Call != c.call {
				t.Errorf("%.40s… in pieces of %d: id %s, call %v, want %s, %v", c.text, size, bad.ID, bad.Call, c.id, c.call)
			}
		}
	}
}
