package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// loadClient is one client over HTTP with a connection of its own, which does as little as it can. One goroutine uses
// it at a time.
type loadClient struct {
	addr, path string
	conn       net.Conn
	in         *bufio.Reader
	stream     net.Conn // of GET, nil before listen
	session    string
	number     int
	calls      int
	out        []byte
	got        loadMessage
}

// dial opens a session.
func (c *loadClient) dial(url string) error {
	addr, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	c.addr, c.path = addr, "/"+path
	var err error
	if c.conn, err = net.Dial("tcp", addr); err != nil {
		return err
	}
	c.in = bufio.NewReader(c.conn)
	return c.hello()
}

// hello does what every client does first.
func (c *loadClient) hello() error {
	if err := c.send("POST", []byte(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":`+
		`{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}`)); err != nil {
		return err
	}
	if c.session = c.got.session; c.session == "" {
		return errors.New("no session id")
	}
	if err := c.send("POST", []byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)); err != nil {
		return err
	}
	err := c.send("POST", []byte(`{"jsonrpc":"2.0","id":0,"method":"tools/list"}`))
	if n := bytes.Count(c.got.body, []byte(`"inputSchema"`)); err == nil && n != 10 {
		return fmt.Errorf("%d tools, want 10", n)
	}
	return err
}

// send sends a request and reads the response, which must be a success.
func (c *loadClient) send(method string, body []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(hung)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.request(method, body)); err != nil {
		return err
	}
	if err := readLoad(c.in, &c.got); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if !bytes.HasPrefix(c.got.first, []byte("HTTP/1.1 2")) {
		return fmt.Errorf("%s: %s %s", method, c.got.first, c.got.body)
	}
	return nil
}

// request makes the text of a request.
func (c *loadClient) request(method string, body []byte) []byte {
	c.out = append(c.out[:0], method+" "+c.path+" HTTP/1.1\r\nHost: "+c.addr+"\r\n"...)
	if method == "GET" {
		c.out = append(c.out, "Accept: text/event-stream\r\n"...)
	} else {
		c.out = append(c.out, "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"...)
	}
	if c.session != "" {
		c.out = append(c.out, "Mcp-Session-Id: "+c.session+"\r\nMcp-Protocol-Version: 2025-11-25\r\n"...)
	}
	c.out = append(strconv.AppendInt(append(c.out, "Content-Length: "...), int64(len(body)), 10), "\r\n\r\n"...)
	return append(c.out, body...)
}

// call calls a tool that brings back 1 KiB that no other call has.
func (c *loadClient) call() error {
	c.calls++
	text := fmt.Sprintf("%s client %d call %d", loadText, c.number, c.calls)
	err := c.send("POST", fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo",`+
		`"arguments":{"text":"%s"},"_meta":{"progressToken":%d}}}`, c.calls, text, c.calls))
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(c.got.body, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,`, c.calls)) ||
		!bytes.Contains(c.got.body, []byte(`"`+text+`"`)) {
		return fmt.Errorf("client %d call %d: the answer is %.300q", c.number, c.calls, c.got.body)
	}
	return nil
}

var loadText = strings.Repeat("0123456789abcdef", 62)

// listen opens the stream for what the server says of its own accord.
func (c *loadClient) listen() error {
	var err error
	if c.stream, err = net.Dial("tcp", c.addr); err != nil {
		return err
	}
	if err := c.stream.SetReadDeadline(time.Now().Add(hung)); err != nil {
		return err
	}
	if _, err = c.stream.Write(c.request("GET", nil)); err != nil {
		return err
	}
	begin := make([]byte, 12)
	if _, err = c.stream.Read(begin); err == nil && string(begin) != "HTTP/1.1 200" {
		return fmt.Errorf("no stream: %s", begin)
	}
	return err
}

// leave ends the session.
func (c *loadClient) leave() error {
	err := c.send("DELETE", nil)
	if c.stream != nil {
		err = errors.Join(err, c.stream.Close())
	}
	return errors.Join(err, c.conn.Close())
}
