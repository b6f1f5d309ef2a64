package main

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// web is a bare pipe from HTTP to HTTP: what httputil.ReverseProxy does, without what that checks, copies and adds.
type web struct {
	to        *url.URL
	transport *http.Transport
	buffers   sync.Pool // of *[]byte
}

// runWeb serves clients at an address that it prints, until stdin ends.
func runWeb(target string) error {
	to, err := url.Parse(target)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s%s\n", l.Addr(), to.Path)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: &web{
		to: to, transport: &http.Transport{MaxIdleConns: 1000, MaxIdleConnsPerHost: 100, DisableCompression: true},
		buffers: sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }},
	}}
	go func() { _ = server.Serve(l) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	return server.Close()
}

// ServeHTTP implements http.Handler.
func (p *web) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := (&http.Request{
		Method: r.Method, URL: p.to, Host: p.to.Host, Header: r.Header, ContentLength: r.ContentLength, Body: r.Body,
	}).WithContext(r.Context())
	if r.ContentLength == 0 {
		out.Body = nil
	}
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		p.stream(w, resp.Body)
		return
	}
	b := p.buffers.Get().(*[]byte)
	_, _ = io.CopyBuffer(w, resp.Body, *b)
	p.buffers.Put(b)
}

// stream passes on at once what comes.
func (p *web) stream(w http.ResponseWriter, in io.Reader) {
	flush := http.NewResponseController(w).Flush
	b := make([]byte, 4<<10)
	for flush() == nil {
		n, err := in.Read(b)
		if _, failed := w.Write(b[:n]); err != nil || failed != nil {
			return
		}
	}
}
