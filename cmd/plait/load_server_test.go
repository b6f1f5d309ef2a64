package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
)

// loadServer is the program load-server: an MCP server over HTTP that takes as little of the processor as it can, so
// that what is measured is what stands before it. It knows its sessions, and says at /sessions how many are open. It
// prints its URL and ends when its stdin does. With the query stream=1 it has a GET stream.
func loadServer() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "load-server:", err)
		return 1
	}
	fmt.Fprintf(os.Stdout, "http://%s/mcp\n", l.Addr())
	s := &loadNode{sessions: map[string]bool{}, list: `"result":{"tools":` + benchTools(10) + `}`}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

type loadNode struct {
	list string

	mu       sync.RWMutex
	sessions map[string]bool
	opened   int
}

// loadMessage is what a request and a response over HTTP have in common; its parts are good until the next.
type loadMessage struct {
	first   []byte // line
	session string
	body    []byte
}

// readLoad reads a message whose body, if any, has a known length or comes in chunks.
func readLoad(in *bufio.Reader, m *loadMessage) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	m.first = append(m.first[:0], bytes.TrimRight(line, "\r\n")...)
	m.session, m.body = "", m.body[:0]
	length, chunked := 0, false
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		case "Transfer-Encoding":
			chunked = true
		case "Mcp-Session-Id":
			m.session = string(value)
		}
	}
	if !chunked {
		return m.take(in, length)
	}
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
		if err != nil {
			return err
		}
		if err := m.take(in, int(size)); err != nil {
			return err
		}
		if _, err := in.Discard(len("\r\n")); err != nil || size == 0 {
			return err
		}
	}
}

// take appends n bytes to the body.
func (m *loadMessage) take(in *bufio.Reader, n int) error {
	have := len(m.body)
	m.body = append(m.body, make([]byte, n)...)
	_, err := io.ReadFull(in, m.body[have:])
	return err
}

func (s *loadNode) serve(conn net.Conn) {
	defer conn.Close()
	in, m := bufio.NewReader(conn), &loadMessage{}
	var out []byte
	for readLoad(in, m) == nil {
		if bytes.HasPrefix(m.first, []byte("GET /mcp?stream=1")) {
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"))
			_, _ = in.ReadByte() // until the client leaves
			return
		}
		var status, session, body string
		switch method, _, _ := bytes.Cut(m.first, []byte(" ")); string(method) {
		case "GET":
			status, body = s.look(m.first)
		case "DELETE":
			s.mu.Lock()
			delete(s.sessions, m.session)
			s.mu.Unlock()
			status = "200 OK"
		default:
			status, session, body = s.post(m)
		}
		out = append(append(append(out[:0], "HTTP/1.1 "...), status...), "\r\nContent-Type: application/json\r\n"...)
		if session != "" {
			out = append(append(append(out, "Mcp-Session-Id: "...), session...), "\r\n"...)
		}
		out = append(strconv.AppendInt(append(out, "Content-Length: "...), int64(len(body)), 10), "\r\n\r\n"...)
		if _, err := conn.Write(append(out, body...)); err != nil {
			return
		}
	}
}

// look says how many sessions are open; a stream there is not.
func (s *loadNode) look(line []byte) (status, body string) {
	if !bytes.HasPrefix(line, []byte("GET /sessions")) {
		return "405 Method Not Allowed", ""
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return "200 OK", strconv.Itoa(len(s.sessions))
}

func (s *loadNode) post(m *loadMessage) (status, session, body string) {
	_, id, isRequest := bytes.Cut(m.body[:min(len(m.body), 60)], []byte(`"id":`))
	id, _, _ = bytes.Cut(id, []byte(","))
	if bytes.Contains(m.body, []byte(`"method":"initialize"`)) {
		s.mu.Lock()
		s.opened++
		session = fmt.Sprintf("load-%d", s.opened)
		s.sessions[session] = true
		s.mu.Unlock()
		return "200 OK", session, `{"jsonrpc":"2.0","id":` + string(id) + `,"result":{"protocolVersion":"2025-11-25",` +
			`"capabilities":{"tools":{}},"serverInfo":{"name":"load","version":"1"}}}`
	}
	s.mu.RLock()
	known := s.sessions[m.session]
	s.mu.RUnlock()
	switch {
	case !known:
		return "404 Not Found", "", ""
	case !isRequest:
		return "202 Accepted", "", ""
	}
	member := s.list
	if _, text, ok := bytes.Cut(m.body, []byte(`"text":"`)); ok {
		text, _, _ = bytes.Cut(text, []byte{'"'})
		member = `"result":{"content":[{"type":"text","text":"` + string(text) + `"}]}`
	}
	return "200 OK", "", `{"jsonrpc":"2.0","id":` + string(id) + `,` + member + `}`
}
