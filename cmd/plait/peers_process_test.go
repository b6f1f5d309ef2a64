package main_test

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// freePort returns a port that nobody listens on at the moment.
func freePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		tb.Fatalf("address %v", l.Addr())
	}
	return address.Port
}

// printedLog keeps what a process prints, and closes found, if there is one, when it has printed what is wanted.
type printedLog struct {
	want  string
	found chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
	seen bool
}

func (l *printedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if l.found != nil && !l.seen && bytes.Contains(l.text.Bytes(), []byte(l.want)) {
		l.seen = true
		close(l.found)
	}
	return len(p), nil
}

func (l *printedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
