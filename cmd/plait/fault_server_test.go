package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// faultRequest is what the servers with faults read of a request.
type faultRequest struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Arguments struct {
			MB    int `json:"mb"`    // how long a long answer is
			Count int `json:"count"` // of notifications before the answer
		} `json:"arguments"`
		Meta struct {
			ProgressToken json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	} `json:"params"`
}

const (
	faultHello = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"fault","version":"1"}}`
	faultTools = `{"tools":[{"name":"work","inputSchema":{"type":"object"}}]}`
	faultDone  = `{"content":[{"type":"text","text":"done"}]}`
)

// healthy returns the answer of a server without fault.
func (r *faultRequest) healthy() string {
	result := faultDone
	switch r.Method {
	case "initialize":
		result = faultHello
	case "tools/list":
		result = faultTools
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, r.ID, result)
}

// notifications yields the progress of a call, about 1 KiB each.
func (r *faultRequest) notifications() iter.Seq[string] {
	text := strings.Repeat("x", 900)
	return func(yield func(string) bool) {
		for i := range r.Params.Arguments.Count {
			if !yield(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d,"message":%q}}`,
				r.Params.Meta.ProgressToken, i+1, text)) {
				return
			}
		}
	}
}

// writeLong writes an answer of so many megabytes whose id comes last.
func (r *faultRequest) writeLong(w io.Writer) error {
	_, err := io.WriteString(w, `{"result":{"content":[{"type":"text","text":"`)
	text := bytes.Repeat([]byte("x"), 1<<20)
	for i := 0; i < r.Params.Arguments.MB && err == nil; i++ {
		_, err = w.Write(text)
	}
	if err == nil {
		_, err = fmt.Fprintf(w, `"}]},"jsonrpc":"2.0","id":%s}`, r.ID)
	}
	return err
}

// httpFaults are what a server over HTTP does with a call of its tool. A panic closes the connection.
var httpFaults = map[string]func(w http.ResponseWriter, r *http.Request, call *faultRequest){
	"chatty": func(w http.ResponseWriter, _ *http.Request, call *faultRequest) {
		for n := range call.notifications() {
			sendEvents(w, "data: "+n+"\n\n")
		}
		sendEvents(w, "data: "+call.healthy()+"\n\n")
	},
	"healthy": func(w http.ResponseWriter, _ *http.Request, call *faultRequest) { sendJSON(w, call.healthy()) },
	"mute":    func(_ http.ResponseWriter, r *http.Request, _ *faultRequest) { <-r.Context().Done() },
	"status500": func(w http.ResponseWriter, _ *http.Request, _ *faultRequest) {
		http.Error(w, "the database is down", http.StatusInternalServerError)
	},
	"cutjson": func(w http.ResponseWriter, _ *http.Request, call *faultRequest) {
		w.Header().Set("Content-Length", "1000")
		sendJSON(w, call.healthy()[:40])
		panic(http.ErrAbortHandler)
	},
	"cutsse": func(w http.ResponseWriter, _ *http.Request, call *faultRequest) {
		sendEvents(w, "data: "+call.healthy()[:40])
		panic(http.ErrAbortHandler)
	},
	"garbagejson": func(w http.ResponseWriter, _ *http.Request, _ *faultRequest) { sendJSON(w, "}{ garbage") },
	"garbagesse": func(w http.ResponseWriter, _ *http.Request, _ *faultRequest) {
		sendEvents(w, "event: message\ndata: }{ garbage\n\n\x00\xff:\r\rdata\n\n")
	},
	"page": func(w http.ResponseWriter, _ *http.Request, _ *faultRequest) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>please log in")
	},
	"longjson": func(w http.ResponseWriter, _ *http.Request, call *faultRequest) {
		w.Header().Set("Content-Type", "application/json")
		_ = call.writeLong(w)
	},
	"longsse": func(w http.ResponseWriter, r *http.Request, call *faultRequest) {
		sendEvents(w, "data: ")
		_ = call.writeLong(w)
		_, _ = io.WriteString(w, "\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // the stream does not end with the answer
	},
}

func sendJSON(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}

func sendEvents(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}

// serveFaults serves each of httpFaults under /NAME, /down, which answers everything with 500, and /legacy over
// HTTP+SSE, with an answer that is too long. The name of each whose session was ended by DELETE comes out of ended.
func serveFaults(tb testing.TB) (url string, ended <-chan string) {
	tb.Helper()
	mux := http.NewServeMux()
	deleted := make(chan string, 100)
	mux.HandleFunc("DELETE /{name}", func(_ http.ResponseWriter, r *http.Request) { deleted <- r.PathValue("name") })
	for name, fault := range httpFaults {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
			var call faultRequest
			switch err := json.NewDecoder(r.Body).Decode(&call); {
			case err != nil:
				http.Error(w, err.Error(), http.StatusBadRequest)
			case call.ID == nil:
				w.WriteHeader(http.StatusAccepted)
			case call.Method == "tools/call":
				fault(w, r, &call)
			default:
				w.Header().Set("Mcp-Session-Id", "fault")
				sendJSON(w, call.healthy())
			}
		})
	}
	mux.HandleFunc("POST /down", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "out of order", http.StatusInternalServerError)
	})
	serveLegacyFault(mux)
	s := httptest.NewServer(mux)
	tb.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL, deleted
}

func serveLegacyFault(mux *http.ServeMux) {
	calls := make(chan faultRequest, 100)
	mux.HandleFunc("GET /legacy", func(w http.ResponseWriter, r *http.Request) {
		sendEvents(w, "event: endpoint\ndata: /legacy\n\n")
		for {
			select {
			case <-r.Context().Done():
				return
			case call := <-calls:
				_, _ = io.WriteString(w, "event: message\ndata: ")
				if call.Method == "tools/call" {
					_ = call.writeLong(w)
				} else {
					_, _ = io.WriteString(w, call.healthy())
				}
				sendEvents(w, "\n\n")
			}
		}
	})
	mux.HandleFunc("POST /legacy", func(w http.ResponseWriter, r *http.Request) {
		var call faultRequest
		if err := json.NewDecoder(r.Body).Decode(&call); err == nil && call.ID != nil {
			calls <- call
		}
		w.WriteHeader(http.StatusAccepted)
	})
}

// silence returns the URL of a server that accepts and never answers.
func silence(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	go acceptOnly(l)
	tb.Cleanup(func() { l.Close() })
	return "http://" + l.Addr().String() + "/mcp"
}

// childFaults are what a stdio server does with a call of its tool.
var childFaults = map[string]func(call *faultRequest){
	"chattychild": func(call *faultRequest) {
		for n := range call.notifications() {
			say(n)
		}
		say(call.healthy())
	},
	"child":  func(call *faultRequest) { say(call.healthy()) },
	"crash":  func(*faultRequest) { complainAndExit() },
	"closes": func(*faultRequest) { os.Stdout.Close(); forever() },
	"deaf":   func(*faultRequest) { forever() },
	"garbage": func(call *faultRequest) {
		say("}{ garbage\x00\n\n[[[[\nListening on 3000")
		say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{]}`, call.ID))
	},
	"longline": func(call *faultRequest) {
		out := bufio.NewWriter(os.Stdout)
		_ = call.writeLong(out)
		_, _ = out.WriteString("\n")
		_ = out.Flush()
	},
	"flood": func(call *faultRequest) {
		line := []byte(strings.Repeat("noise ", 1000) + "\n")
		for range 1000 * call.Params.Arguments.MB / len(line) * 1000 {
			_, _ = os.Stderr.Write(line)
		}
		say(call.healthy())
	},
	// stubborn has a child of its own, and neither heeds the end of stdin nor SIGTERM. It says which processes there are.
	"stubborn": func(call *faultRequest) {
		child := exec.Command(os.Args[0], "stubborn")
		child.Env = os.Environ()
		child.Stdin, _, _ = os.Pipe()
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			complainAndExit()
		}
		text := strconv.Itoa(os.Getpid()) + " " + strconv.Itoa(child.Process.Pid)
		say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":%q}]}}`, call.ID, text))
	},
}

// faultChild is the program fault-child: a stdio server with the fault that its argument names, "exits" for one that
// ends before it says anything.
func faultChild() int {
	fault := childFaults[os.Args[1]]
	if fault == nil {
		complainAndExit()
	}
	if os.Args[1] == "stubborn" {
		signal.Ignore(os.Interrupt, syscall.SIGTERM)
		defer forever()
	}
	for lines := bufio.NewReader(os.Stdin); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return 0
		}
		var call faultRequest
		if err := json.Unmarshal(line, &call); err != nil || call.ID == nil {
			continue
		}
		if call.Method == "tools/call" {
			fault(&call)
		} else {
			say(call.healthy())
		}
	}
}

func say(line string) { fmt.Fprintln(os.Stdout, line) }

// complainAndExit has last words that hold a secret of the environment.
func complainAndExit() {
	fmt.Fprintln(os.Stderr, "cannot log in with", os.Getenv("FAULT_TOKEN"))
	os.Exit(3)
}

// forever waits for a signal that it gets by nobody.
func forever() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	<-c
}
