package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
)

// Process is a running process that can be asked. The caller calls Close.
type Process struct {
	pid    int
	client *http.Client
}

// List returns the running processes of the user whose sockets are in folders, in the order of their ids.
// The error tells of folders that cannot be trusted; the processes in the others are returned with it.
func List(ctx context.Context, folders []string) ([]*Process, error) {
	var found []*Process
	var problems []error
	for _, folder := range folders {
		if err := check(folder); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				problems = append(problems, err)
			}
			continue
		}
		for _, s := range sockets(folder) {
			conn, err := dial(ctx, s.path)
			if err != nil {
				continue // it ended, or was killed
			}
			conn.Close()
			found = append(found, newProcess(s))
		}
	}
	slices.SortFunc(found, func(a, b *Process) int { return cmp.Compare(a.pid, b.pid) })
	return found, errors.Join(problems...)
}

func dial(ctx context.Context, path string) (net.Conn, error) {
	return (&net.Dialer{Timeout: slowest}).DialContext(ctx, "unix", path)
}

func newProcess(s socket) *Process {
	return &Process{pid: s.pid, client: &http.Client{Transport: &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, s.path) },
		MaxResponseHeaderBytes: maxHeader, IdleConnTimeout: idle, DisableCompression: true,
	}}}
}

// PID returns the id of the process.
func (p *Process) PID() int { return p.pid }

// Close ends the connection.
func (p *Process) Close() { p.client.CloseIdleConnections() }

// Status asks what runs.
func (p *Process) Status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*slowest)
	defer cancel()
	return ask[Status](ctx, p, http.MethodGet, "/status")
}

// Reload asks for a reload and waits until it is done.
func (p *Process) Reload(ctx context.Context) (Outcome, error) {
	return ask[Outcome](ctx, p, http.MethodPost, "/reload")
}

// Plan asks what a reload would do now.
func (p *Process) Plan(ctx context.Context) (Outcome, error) {
	return ask[Outcome](ctx, p, http.MethodGet, "/plan")
}

// Explain asks for everything that is known under a name.
func (p *Process) Explain(ctx context.Context, name string) (Answer, error) {
	return ask[Answer](ctx, p, http.MethodGet, "/explain?name="+url.QueryEscape(name))
}

// ask sends a request and returns the answer.
func ask[T any](ctx context.Context, p *Process, method, path string) (T, error) {
	var answer T
	req, err := http.NewRequestWithContext(ctx, method, "http://plait"+path, nil)
	if err != nil {
		return answer, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return answer, fmt.Errorf("process %d does not answer: %w", p.pid, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	if err != nil {
		return answer, fmt.Errorf("process %d does not answer: %w", p.pid, err)
	}
	if resp.StatusCode != http.StatusOK {
		var f failure
		if json.Unmarshal(body, &f) != nil || f.Error == "" {
			f.Error = resp.Status
		}
		return answer, fmt.Errorf("process %d: %s", p.pid, f.Error)
	}
	err = json.Unmarshal(body, &answer)
	return answer, err
}
