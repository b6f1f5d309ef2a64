package jsonrpc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

// TestWriterOrder lets many goroutines write short and long texts and wants every line whole and each
// goroutine's lines in its order.
func TestWriterOrder(t *testing.T) {
	r, pipe := io.Pipe()
	w := NewWriter(pipe)
	const writers, lines = 8, 200
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for n := range lines {
				pad := ""
				if n%50 == 7 {
					pad = strings.Repeat("x", 3*joined)
				}
				if err := w.Write(Text{[]byte(fmt.Sprintf("%d %d ", i, n)), []byte(pad)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { wg.Wait(); _ = pipe.Close() }()
	next := [writers]int{}
	in := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			break
		}
		var i, n int
		if _, err := fmt.Sscanf(line, "%d %d", &i, &n); err != nil {
			t.Fatalf("line %.40q: %v", line, err)
		}
		if n != next[i] {
			t.Fatalf("writer %d: line %d came when %d was due", i, n, next[i])
		}
		next[i]++
	}
	for i, n := range next {
		if n != lines {
			t.Errorf("writer %d: %d lines, want %d", i, n, lines)
		}
	}
}

type broken struct{ bytes.Buffer }

var errBroken = errors.New("broken")

func (b *broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWriterKeepsTheError(t *testing.T) {
	w := NewWriter(&broken{})
	for _, text := range []Text{{[]byte("a")}, {[]byte("b")}, {bytes.Repeat([]byte("c"), 2*joined)}} {
		if err := w.Write(text); !errors.Is(err, errBroken) {
			t.Errorf("Write = %v, want %v", err, errBroken)
		}
	}
}

func TestCalls(t *testing.T) {
	var c Calls
	one, _ := c.Add("1")
	two, _ := c.Add(`"1"`)
	three, _ := c.Add("3")
	m, err := Parse([]byte(`{"jsonrpc":"2.0","id":"1","result":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Deliver(m) || c.Deliver(m) {
		t.Error("an answer is delivered once")
	}
	if got := <-two; got != m {
		t.Errorf("got %v", got)
	}
	c.Remove("3")
	c.Fail(errBroken)
	if _, ok := <-one; ok {
		t.Error("a call that failed got an answer")
	}
	select {
	case <-three:
		t.Error("a removed call was woken")
	default:
	}
	if _, err := c.Add("4"); !errors.Is(err, errBroken) {
		t.Errorf("Add after Fail = %v", err)
	}
}
