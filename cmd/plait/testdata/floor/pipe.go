package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// pipe carries lines between stdin, one server and stdout, and looks into none of them.
type pipe struct {
	client  *http.Client
	url     string
	session atomic.Pointer[string] // "" until the server has given one
	readers sync.Pool              // *bufio.Reader for SSE answers

	mu  sync.Mutex
	out *bufio.Writer // guarded by mu for one whole line
}

func runPipe(client *http.Client, urls []string) error {
	none := ""
	stdout := struct{ io.Writer }{os.Stdout} // without its ReadFrom, which takes a new buffer each time
	p := &pipe{client: client, url: urls[0], out: bufio.NewWriterSize(stdout, 64<<10)}
	p.readers.New = func() any { return bufio.NewReaderSize(nil, 64<<10) }
	p.session.Store(&none)
	var wg sync.WaitGroup
	defer wg.Wait()
	in := bufio.NewReaderSize(os.Stdin, 64<<10)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			wg.Go(func() {
				if err := p.carry(line); err != nil {
					fmt.Fprintln(os.Stderr, "floor:", err)
				}
			})
		}
		if err != nil {
			return nil
		}
	}
}

// carry posts one line and prints what comes back.
func (p *pipe) carry(line []byte) error {
	resp, err := post(p.client, p.url, *p.session.Load(), line)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" {
		p.session.Store(&id)
	}
	switch {
	case resp.StatusCode == http.StatusAccepted:
		return nil
	case resp.StatusCode != http.StatusOK:
		return errors.New(resp.Status)
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream"):
		return p.printStream(resp.Body)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.out.ReadFrom(resp.Body); err != nil {
		return err
	}
	_ = p.out.WriteByte('\n')
	return p.out.Flush()
}

// printStream prints each data line as it comes.
func (p *pipe) printStream(body io.Reader) error {
	r := p.readers.Get().(*bufio.Reader)
	defer p.readers.Put(r)
	r.Reset(body)
	for {
		part, err := r.ReadSlice('\n')
		if data, ok := bytes.CutPrefix(part, []byte("data: ")); ok {
			err = p.printData(r, data, err)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// printData prints a data line of which data is the beginning, or all of it if err is nil.
func (p *pipe) printData(r *bufio.Reader, data []byte, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.out.Write(data)
	for errors.Is(err, bufio.ErrBufferFull) {
		data, err = r.ReadSlice('\n')
		_, _ = p.out.Write(data)
	}
	if err != nil {
		return err
	}
	return p.out.Flush()
}
