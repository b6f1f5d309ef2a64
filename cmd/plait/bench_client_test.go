package main_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// hung bounds the work of one exchange; what takes longer will never end.
const hung = time.Minute

// batch is a run of requests with the ids first, first+1, ….
type batch struct {
	first    int
	lines    [][]byte // without their newlines
	inFlight int      // how many may be unanswered at a time; 0 means 1
	// see, if not nil, gets each line that comes in, notifications included. It is never called
	// twice at a time, and keeps nothing of the line.
	see func(line []byte) error
}

// calls is a batch of n equal tool calls, one at a time.
func calls(first, n int, tool, arguments string) batch {
	b := batch{first: first}
	for i := range n {
		b.lines = append(b.lines, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":`+
			`{"name":%q,"arguments":%s,"_meta":{"progressToken":"bench"}}}`, first+i, tool, arguments))
	}
	return b
}

// request is a batch of one request without parameters.
func request(id int, method string) batch {
	return batch{first: id, lines: [][]byte{fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":%q}`, id, method)}}
}

// benchPeer is one MCP session as its client has it.
type benchPeer interface {
	// exchange sends all requests of b, returns when each is answered, once, and says how long each took.
	exchange(b batch) ([]time.Duration, error)
	// notify sends a notification.
	notify(line string) error
	close() error
}

// hello opens the session.
func hello(p benchPeer) error {
	_, err := p.exchange(batch{lines: [][]byte{[]byte(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":` +
		`{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`)}})
	if err != nil {
		return fmt.Errorf("initialize: %w", err)
	}
	return p.notify(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

// idOf returns the id of an answer, or -1 if line is a notification. An error answer is an error.
func idOf(line []byte) (int, error) {
	head := line[:min(len(line), 120)]
	if bytes.Contains(head, []byte(`"method":`)) {
		return -1, nil
	}
	_, id, found := bytes.Cut(head, []byte(`"id":`))
	if !found || bytes.Contains(head, []byte(`"error":`)) {
		return 0, fmt.Errorf("answer %.300q", line)
	}
	end := bytes.IndexAny(id, ",}")
	return strconv.Atoi(string(id[:max(end, 0)]))
}

// ledger knows which answers of a batch are awaited.
type ledger struct {
	batch
	sent []time.Time // zero once answered
	took []time.Duration
	left int
}

func newLedger(b batch) *ledger {
	b.inFlight = max(b.inFlight, 1)
	n := len(b.lines)
	return &ledger{batch: b, sent: make([]time.Time, n), took: make([]time.Duration, n), left: n}
}

// enter takes a line that came in.
func (l *ledger) enter(line []byte) error {
	now := time.Now()
	id, err := idOf(line)
	if err != nil {
		return err
	}
	if i := id - l.first; id >= 0 {
		if i < 0 || i >= len(l.sent) || l.sent[i].IsZero() {
			return fmt.Errorf("answer nobody waits for: %.300q", line)
		}
		l.took[i], l.sent[i] = now.Sub(l.sent[i]), time.Time{}
		l.left--
	}
	if l.see == nil {
		return nil
	}
	return l.see(line)
}

// processPeer talks to a process over its stdin and stdout, a line a message.
type processPeer struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	line    []byte   // of readLine
	log     *os.File // stderr
	started time.Time
}

// startProcess starts args; what it writes to stderr goes to the file log.
func startProcess(log string, env []string, args ...string) (*processPeer, error) {
	p := &processPeer{cmd: exec.CommandContext(context.Background(), args[0], args[1:]...)}
	p.cmd.Env = env
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReaderSize(stdout, 256<<10)
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if p.log, err = os.Create(log); err != nil {
		return nil, err
	}
	p.cmd.Stderr = p.log
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, p.log.Close())
	}
	return p, nil
}

func (p *processPeer) pid() int { return p.cmd.Process.Pid }

func (p *processPeer) notify(line string) error {
	_, err := p.in.Write([]byte(line + "\n"))
	return err
}

func (p *processPeer) exchange(b batch) ([]time.Duration, error) {
	watchdog := time.AfterFunc(hung, func() { _ = p.cmd.Process.Kill() })
	defer watchdog.Stop()
	l := newLedger(b)
	for next := 0; l.left > 0; {
		for ; next < len(l.lines) && next-(len(l.lines)-l.left) < l.inFlight; next++ {
			l.sent[next] = time.Now()
			if _, err := p.in.Write(append(l.lines[next], '\n')); err != nil {
				return nil, p.explain(err)
			}
		}
		line, err := p.readLine()
		if err != nil {
			return nil, p.explain(err)
		}
		if err := l.enter(line); err != nil {
			return nil, p.explain(err)
		}
	}
	return l.took, nil
}

// readLine returns the next line, good until the next call.
func (p *processPeer) readLine() ([]byte, error) {
	p.line = p.line[:0]
	for {
		part, err := p.out.ReadSlice('\n')
		if err == nil && len(p.line) == 0 {
			return part, nil
		}
		p.line = append(p.line, part...)
		if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
			return p.line, err
		}
	}
}

// explain adds the end of stderr to an error.
func (p *processPeer) explain(err error) error {
	text, _ := os.ReadFile(p.log.Name())
	return fmt.Errorf("%s: %w\n%s", p.cmd.Args[0], err, text[max(0, len(text)-2000):])
}

// kill ends the process, if close has not.
func (p *processPeer) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		_ = p.log.Close()
	}
}

// close ends stdin and waits for the process, which is killed if it does not end by itself.
func (p *processPeer) close() error {
	watchdog := time.AfterFunc(hung, func() { _ = p.cmd.Process.Kill() })
	defer watchdog.Stop()
	defer p.log.Close()
	_ = p.in.Close()
	_, _ = io.Copy(io.Discard, p.out)
	if err := p.cmd.Wait(); err != nil {
		return p.explain(err)
	}
	return nil
}

// directPeer talks to a server without anybody between.
type directPeer struct {
	client  *http.Client
	url     string
	session atomic.Value // string
}

func newDirectPeer(url string) *directPeer {
	return &directPeer{url: url, client: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 100, DisableCompression: true,
	}, Timeout: hung}}
}

func (p *directPeer) close() error {
	p.client.CloseIdleConnections()
	return nil
}

func (p *directPeer) notify(line string) error {
	return p.post([]byte(line), nil, nil)
}

func (p *directPeer) exchange(b batch) ([]time.Duration, error) {
	l := newLedger(b)
	var mu sync.Mutex // guards l
	enter := func(line []byte) error {
		mu.Lock()
		defer mu.Unlock()
		return l.enter(line)
	}
	var next atomic.Int64
	errs := make([]error, l.inFlight)
	var wg sync.WaitGroup
	for w := range l.inFlight {
		wg.Go(func() {
			r := bufio.NewReaderSize(nil, 256<<10)
			for i := next.Add(1) - 1; i < int64(len(l.lines)) && errs[w] == nil; i = next.Add(1) - 1 {
				mu.Lock()
				l.sent[i] = time.Now()
				mu.Unlock()
				errs[w] = p.post(l.lines[i], r, enter)
			}
		})
	}
	wg.Wait()
	if l.left > 0 {
		errs = append(errs, fmt.Errorf("%d of %d requests not answered", l.left, len(l.lines)))
	}
	return l.took, errors.Join(errs...)
}

// post sends line and passes each message that comes back to enter.
func (p *directPeer) post(line []byte, r *bufio.Reader, enter func([]byte) error) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, p.url, bytes.NewReader(line))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if session, ok := p.session.Load().(string); ok {
		req.Header.Set("Mcp-Session-Id", session)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if session := resp.Header.Get("Mcp-Session-Id"); session != "" {
		p.session.Store(session)
	}
	switch {
	case resp.StatusCode == http.StatusAccepted:
		return nil
	case resp.StatusCode != http.StatusOK:
		return errors.New(resp.Status)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		r.Reset(resp.Body)
		return eachEvent(r, enter)
	}
	body := bytes.NewBuffer(make([]byte, 0, max(resp.ContentLength, 0)+bytes.MinRead))
	if _, err := body.ReadFrom(resp.Body); err != nil {
		return err
	}
	return enter(body.Bytes())
}

// eachEvent passes the data of each event to enter.
func eachEvent(r *bufio.Reader, enter func([]byte) error) error {
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if data, ok := bytes.CutPrefix(bytes.TrimRight(line, "\n"), []byte("data: ")); ok {
			if err := enter(data); err != nil {
				return err
			}
		}
	}
}
