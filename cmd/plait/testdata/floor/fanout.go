package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":` +
	`{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"floor","version":"0"}}}`

// runFanOut answers initialize by itself and tools/list with the tools of all servers, which it
// opens for the first list and keeps for the later ones.
func runFanOut(client *http.Client, urls []string) error {
	list := sync.OnceValues(func() ([]byte, error) { return listAll(client, urls) })
	in := bufio.NewReaderSize(os.Stdin, 64<<10)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return nil
		}
		var result []byte
		switch {
		case bytes.Contains(line, []byte(`"method":"initialize"`)):
			result = []byte(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},` +
				`"serverInfo":{"name":"floor","version":"0"}}`)
		case bytes.Contains(line, []byte(`"method":"tools/list"`)):
			if result, err = list(); err != nil {
				return err
			}
		default:
			continue
		}
		_, id, _ := bytes.Cut(line, []byte(`"id":`))
		id, _, _ = bytes.Cut(id, []byte(`,`))
		if _, err := fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", id, result); err != nil {
			return err
		}
	}
}

// listAll opens all servers at once and joins their tools in the order of urls.
func listAll(client *http.Client, urls []string) ([]byte, error) {
	lists, errs := make([][]byte, len(urls)), make([]error, len(urls))
	var wg sync.WaitGroup
	for i, url := range urls {
		wg.Go(func() { lists[i], errs[i] = listOne(client, url, fmt.Sprintf("s%d_", i+1)) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{[]byte(`{"tools":[`), bytes.Join(lists, []byte(",")), []byte(`]}`)}, nil), nil
}

// listOne returns the elements of one server's tool array, each name with the prefix.
func listOne(client *http.Client, url, prefix string) ([]byte, error) {
	session := ""
	var answer []byte
	for _, line := range []string{
		initialize,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`,
	} {
		resp, err := post(client, url, session, []byte(line))
		if err != nil {
			return nil, err
		}
		answer, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return nil, err
		}
		if session == "" {
			session = resp.Header.Get("Mcp-Session-Id")
		}
	}
	_, tools, ok := bytes.Cut(answer, []byte(`"tools":[`))
	end := bytes.LastIndexByte(tools, ']')
	if !ok || end < 0 {
		return nil, fmt.Errorf("%s: no tools in %.100q", url, answer)
	}
	return bytes.ReplaceAll(tools[:end], []byte(`{"name":"`), []byte(`{"name":"`+prefix)), nil
}
