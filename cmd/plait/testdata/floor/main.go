// Command floor is what the end-to-end benchmark measures plait against: the least that a process
// between can do. It is a program of its own, so that neither its start nor its memory carries
// anything of the test binary.
//
//	floor URL        a bare pipe: lines are posted, answers are printed
//	floor URL URL …  a bare fan-out: the tools of all servers as one list
//	floor web URL    a bare pipe from HTTP to HTTP; it prints where it listens
package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
)

func main() {
	if os.Args[1] == "web" {
		if err := runWeb(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "floor:", err)
			os.Exit(1)
		}
		return
	}
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConns: 1000, MaxIdleConnsPerHost: 100, DisableCompression: true,
	}}
	run := runPipe
	if len(os.Args) > 2 {
		run = runFanOut
	}
	if err := run(client, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

// post sends one message to a server; session may be empty.
func post(client *http.Client, url, session string, line []byte) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(line))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if session != "" {
		req.Header.Set("Mcp-Session-Id", session)
	}
	return client.Do(req)
}
