package upstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// snapshotFormat counts the formats of the file. A file of another format is not found: the format is in the key.
const snapshotFormat = 1

// snapshot is what a server has shown of itself. It never changes.
type snapshot struct {
	hello jsonrpc.Raw // its answer to initialize
	lists [protocol.Lists]known
}

// known is a list as the server gave it.
type known struct {
	items []jsonrpc.Raw
	frame jsonrpc.Raw // the result of the first page, its items left out; nil when the server has no such list
	read  time.Time   // when the server said so last; zero: the list is not known
}

// equal reports whether two lists have the same bytes.
func (k known) equal(other known) bool {
	if len(k.items) != len(other.items) || !bytes.Equal(k.frame, other.frame) {
		return false
	}
	for i := range k.items {
		if !bytes.Equal(k.items[i], other.items[i]) {
			return false
		}
	}
	return true
}

// snapshotKey names the snapshot of a server: by its name, by the fingerprint of all that decides the connection to
// it, by the identity it is used with, and by what a client declares, which lists may depend on.
func snapshotKey(cfg *config.Server, fingerprint string, hello Hello) string {
	identity := ""
	if cfg.Identity != nil {
		identity = cfg.Identity.Name
	}
	capabilities, _ := jsonrpc.Get(hello.Params, "capabilities")
	sum := sha256.New()
	for _, part := range []string{cfg.Name, fingerprint, identity, hello.Version, string(capabilities)} {
		fmt.Fprintf(sum, "%d %d:%s", snapshotFormat, len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// header is the first line of the file: what is needed of a server before its lists are.
type header struct {
	Key   string      `json:"key"`   // a file under another name is not believed
	Saved time.Time   `json:"saved"` //
	Sum   string      `json:"sum"`   // SHA-256 of the rest of the file
	Hello jsonrpc.Raw `json:"hello"`
}

// encode returns the text of the file: the header, and a message whose result has a member for each list.
func (s *snapshot) encode(key string, now time.Time) ([]byte, error) {
	var lists bytes.Buffer
	lists.WriteString(`{"jsonrpc":"2.0","id":0,"result":{`)
	comma := ""
	for l, k := range s.lists {
		if k.read.IsZero() {
			continue
		}
		frame := k.frame
		if frame == nil {
			frame = jsonrpc.Raw("null")
		}
		fmt.Fprintf(&lists, `%s%q:{"read":%q,"frame":%s,"items":[`, comma, protocol.List(l).Member(), k.read.UTC().Format(time.RFC3339), frame)
		lists.Write(bytes.Join(raws(k.items), []byte{','}))
		lists.WriteString("]}")
		comma = ","
	}
	lists.WriteString("}}")
	return sign(header{Key: key, Saved: now.UTC().Truncate(time.Second), Hello: s.hello}, lists.Bytes())
}

// sign puts the header before the rest of the file.
func sign(h header, rest []byte) ([]byte, error) {
	sum := sha256.Sum256(rest)
	h.Sum = hex.EncodeToString(sum[:])
	var text bytes.Buffer
	line := json.NewEncoder(&text)
	line.SetEscapeHTML(false)
	err := line.Encode(h)
	text.Write(rest)
	return text.Bytes(), err
}

func raws(items []jsonrpc.Raw) [][]byte {
	all := make([][]byte, len(items))
	for i, item := range items {
		all[i] = item
	}
	return all
}

// decodeHeader reads the first line of the file with that key.
func decodeHeader(line []byte, key string) (header, error) {
	var h header
	if err := json.Unmarshal(line, &h); err != nil {
		return h, err
	}
	if h.Key != key {
		return h, errors.New("the snapshot of another server")
	}
	return h, nil
}

// decodeSnapshot reads a whole file. It takes the text over.
func decodeSnapshot(text []byte, key string) (*snapshot, time.Time, error) {
	first, lists, _ := bytes.Cut(text, []byte{'\n'})
	h, err := decodeHeader(first, key)
	if err != nil {
		return nil, time.Time{}, err
	}
	if sum := sha256.Sum256(lists); hex.EncodeToString(sum[:]) != h.Sum {
		return nil, time.Time{}, errors.New("not as it was written")
	}
	m, err := jsonrpc.Parse(lists)
	if err != nil {
		return nil, time.Time{}, err
	}
	s := &snapshot{hello: h.Hello}
	for l := range protocol.Lists {
		if of, ok := jsonrpc.Get(m.Result(), l.Member()); ok {
			s.lists[l] = decodeKnown(of)
		}
	}
	return s, h.Saved, nil
}

func decodeKnown(of jsonrpc.Raw) known {
	text, _ := jsonrpc.GetString(of, "read")
	read, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return known{}
	}
	k := known{read: read}
	if frame, _ := jsonrpc.Get(of, "frame"); string(frame) != "null" {
		k.frame = frame
	}
	items, _ := jsonrpc.Get(of, "items")
	for item := range jsonrpc.Elements(items) {
		k.items = append(k.items, item)
	}
	return k
}
