package control

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Bounds of what a peer may send or hold.
const (
	maxConns   = 16
	maxHeader  = 16 << 10
	slowest    = 5 * time.Second // that a request may take to come
	idle       = time.Minute
	farewell   = 2 * time.Second // that answers under way have when the process ends
	maxMessage = 32 << 20        // bytes of an answer
)

// Handler is the process that answers. Its methods may be called at the same time.
type Handler interface {
	Status(ctx context.Context) Status
	Reload(ctx context.Context) (Outcome, error) // returns when it is done
	Plan(ctx context.Context) (Outcome, error)
	Explain(ctx context.Context, name string) (Answer, error)
}

// Options are what Serve needs besides the handler.
type Options struct {
	Folders []string            // see Folders; the first that can be used is used
	Redact  func(string) string // takes secrets out of texts; nil leaves them
	Log     hclog.Logger
}

// Serve answers on a socket until ctx ends, and returns nil then. An error says why there is no socket. It
// removes the sockets that dead processes left.
func Serve(ctx context.Context, h Handler, o Options) error {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Redact == nil {
		o.Redact = func(s string) string { return s }
	}
	l, err := listen(ctx, o)
	if err != nil {
		return err
	}
	if folder := filepath.Dir(l.Addr().String()); isShort(folder) {
		defer os.Remove(folder) // unless others are in it
	}
	// A ReadTimeout would end the context of a request that takes longer than it to answer; there are no bodies to wait for.
	server := &http.Server{
		Handler: routes(h, o), ReadHeaderTimeout: slowest, IdleTimeout: idle, MaxHeaderBytes: maxHeader,
		ErrorLog:    o.Log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
	})
	err = server.Serve(l)
	if stop() {
		_ = server.Close()
		return err
	}
	<-ended
	return nil
}

// listen makes the socket in the first folder that can be used.
func listen(ctx context.Context, o Options) (net.Listener, error) {
	var problems []error
	for _, folder := range o.Folders {
		l, err := listenIn(ctx, folder)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if isShort(folder) {
			o.Log.Info("the name of the usual folder is too long for a socket", "socket", l.Addr().String())
		}
		o.Log.Debug("commands can reach this process", "socket", l.Addr().String())
		return l, nil
	}
	if problems == nil {
		return nil, errors.New("no folder of the user is known; set XDG_RUNTIME_DIR or HOME")
	}
	return nil, errors.Join(problems...)
}

func listenIn(ctx context.Context, folder string) (net.Listener, error) {
	if err := secure(folder); err != nil {
		return nil, err
	}
	tidy(ctx, folder)
	var suffix [2]byte
	_, _ = rand.Read(suffix[:])
	path := filepath.Join(folder, strconv.Itoa(os.Getpid())+"-"+hex.EncodeToString(suffix[:])+".sock")
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return &guarded{Listener: l, places: make(chan struct{}, maxConns)}, nil
}

// tidy removes the sockets of dead processes.
func tidy(ctx context.Context, folder string) {
	for _, s := range sockets(folder) {
		if s.pid != os.Getpid() && isAlive(s.pid) {
			continue
		}
		// The process may live where its id is another: in a container that shares the folder.
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", s.path)
		if err == nil {
			conn.Close()
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			_ = os.Remove(s.path)
		}
	}
}

// socket is a socket that was found.
type socket struct {
	pid  int
	path string
}

// sockets returns the sockets in a folder.
func sockets(folder string) []socket {
	entries, _ := os.ReadDir(folder)
	var found []socket
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".sock")
		digits, _, _ := strings.Cut(name, "-")
		if pid, err := strconv.Atoi(digits); ok && err == nil && pid > 0 {
			found = append(found, socket{pid, filepath.Join(folder, e.Name())})
		}
	}
	return found
}

// guarded is a listener that lets in the user alone, and not too many at a time.
type guarded struct {
	net.Listener

	places chan struct{}
}

// Accept implements net.Listener.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if u, ok := c.(*net.UnixConn); !ok || !isOwn(u) {
			c.Close()
			continue
		}
		select {
		case g.places <- struct{}{}:
			return &placed{Conn: c, leave: g.leave}, nil
		default:
			c.Close()
		}
	}
}

func (g *guarded) leave() { <-g.places }

// placed is a connection that has one of the places.
type placed struct {
	net.Conn

	leave func()
	left  sync.Once
}

// Close implements net.Conn.
func (p *placed) Close() error {
	p.left.Do(p.leave)
	return p.Conn.Close()
}

func routes(h Handler, o Options) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, answer func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 {
				w.Header().Set("Connection", "close")
				http.Error(w, "no body is wanted", http.StatusRequestEntityTooLarge)
				return
			}
			value, err := answer(r)
			reply(w, value, err, o.Redact)
		})
	}
	handle("GET /status", func(r *http.Request) (any, error) { return h.Status(r.Context()), nil })
	handle("POST /reload", func(r *http.Request) (any, error) { return h.Reload(r.Context()) })
	handle("GET /plan", func(r *http.Request) (any, error) { return h.Plan(r.Context()) })
	handle("GET /explain", func(r *http.Request) (any, error) { return h.Explain(r.Context(), r.URL.Query().Get("name")) })
	return mux
}

// failure is the body of an answer that is none.
type failure struct {
	Error string `json:"error"`
}

func reply(w http.ResponseWriter, value any, err error, redact func(string) string) {
	status := http.StatusOK
	if err != nil {
		status, value = http.StatusInternalServerError, failure{err.Error()}
	}
	body, err := clean(value, redact)
	if err != nil {
		http.Error(w, "the answer cannot be told", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// clean returns value as JSON, every text in it redacted.
func clean(value any, redact func(string) string) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	return json.Marshal(redactAll(tree, redact))
}

func redactAll(value any, redact func(string) string) any {
	switch v := value.(type) {
	case string:
		return redact(v)
	case []any:
		for i := range v {
			v[i] = redactAll(v[i], redact)
		}
	case map[string]any:
		for k := range v {
			v[k] = redactAll(v[k], redact)
		}
	}
	return value
}
