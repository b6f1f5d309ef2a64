package upstream

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// What a client says while its session connects reaches the server after the handshake, in order; also the log level
// that it sets after the server was told of another.
func TestNotificationsWaitForTheConnection(t *testing.T) {
	var mu sync.Mutex
	var got []string
	handler := func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(text))
		if m, err := jsonrpc.Parse(text); err == nil {
			level, _ := jsonrpc.GetString(m.Params(), "level")
			mu.Lock()
			got = append(got, m.Method()+level)
			mu.Unlock()
			time.Sleep(time.Second) //nolint:forbidigo // fake time
		}
		rpc(w, r, map[string]string{protocol.SetLevel: "{}"})
	}
	inBubble(t, config.Server{Transport: config.HTTPOnly}, handler, func(b *bubble) {
		s, release := b.open()
		defer release()
		s.SetLevel(t.Context(), b.subscriber, jsonrpc.Raw(`"error"`))
		s.Notify(jsonrpc.NewNotification(protocol.RootsChanged, nil))
		time.Sleep(2500 * time.Millisecond) //nolint:forbidigo // fake time: the server is told of the level
		s.SetLevel(t.Context(), b.subscriber, jsonrpc.Raw(`"debug"`))
		s.Notify(jsonrpc.NewNotification("notifications/acme", nil))
		time.Sleep(time.Minute) //nolint:forbidigo // fake time
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		var said []string
		for _, m := range got {
			if strings.HasPrefix(m, "notifications/") {
				said = append(said, m)
			}
		}
		if want := []string{protocol.Initialized, protocol.RootsChanged, "notifications/acme"}; !slices.Equal(said, want) {
			b.t.Errorf("the server got %q, want %q", said, want)
		}
		if !slices.Contains(got, protocol.SetLevel+"error") || !slices.Contains(got, protocol.SetLevel+"debug") {
			b.t.Errorf("the server got %q", got)
		}
	})
}
