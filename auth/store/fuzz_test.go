package store_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/plait-mcp/plait/auth/store"
)

// FuzzEnvelope reads files that anybody may have written: a record that this store did not seal is never returned.
func FuzzEnvelope(f *testing.F) {
	key := store.Key("a")
	dir := filepath.Join(f.TempDir(), "auth")
	s := openStore(f, dir)
	put(f, s, key, "a")
	path := filepath.Join(dir, string(store.Grants), key+".json")
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(change(good, "v", 2))
	f.Add(change(good, "kid", "keyring-0011223344556677"))
	f.Add(change(good, "kid", "config-0011223344556677"))
	f.Add(change(good, "nonce", nil))
	f.Add([]byte(`{"v":1,"kid":"file-00","nonce":"","ct":""}{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var got record
		_, err := s.Load(t.Context(), store.Grants, key, &got)
		if err == nil {
			var sealed, same struct{ Kid, Nonce, CT string }
			if json.Unmarshal(good, &sealed) != nil || json.Unmarshal(data, &same) != nil || sealed.CT != same.CT || got.Name != "a" {
				t.Errorf("another record was opened: %q", data)
			}
		}
		if errors.Is(err, store.ErrNotFound) {
			for _, bad := range aside(t, dir) {
				os.Remove(bad)
			}
		}
	})
}
