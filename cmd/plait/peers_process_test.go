package main_test

import (
	"bytes"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// freePort returns a port that nobody listens on at the moment. It is none of those that a system gives out by itself,
// which may be another one's by the time that it is used.
func freePort(tb testing.TB) int {
	tb.Helper()
	for range 1000 {
		port := 12_000 + rand.IntN(20_000)
		if l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			l.Close()
			return port
		}
	}
	tb.Fatal("no port is free")
	return 0
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
