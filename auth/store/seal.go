package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/plait-mcp/plait/config"
)

const (
	version    = 1
	keySize    = 32
	maxRecord  = 4 << 20 // of a file
	minKeyText = 16      // characters of credentials.key
)

// errCorrupt says that a file is no record that this key sealed under this name.
var errCorrupt = errors.New("the record is damaged")

// errNewer says that a later plait wrote the record.
var errNewer = errors.New("a newer plait wrote it: update this one")

// envelope is what a file holds.
type envelope struct {
	V     int    `json:"v"`
	Kid   string `json:"kid"` // the key that sealed it
	Nonce []byte `json:"nonce"`
	CT    []byte `json:"ct"`
}

// content is what is sealed.
type content struct {
	Key   string          `json:"key"` // of the record
	Gen   uint64          `json:"gen"`
	Value json.RawMessage `json:"value"`
}

// Key returns a key of records for some fields: hex of the first 16 bytes of SHA-256 over the fields, each after its
// length in 8 bytes.
func Key(fields ...string) string {
	sum := sha256.New()
	for _, f := range fields {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(f)))
		sum.Write(length[:])
		sum.Write([]byte(f))
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// source is where a key comes from; the name of a key begins with it.
type source string

const (
	sourceConfig  source = "config"
	sourceKeyring source = "keyring"
	sourceFile    source = "file"
	sourceMemory  source = "memory"
)

// sealer seals with one key.
type sealer struct {
	kid  string
	aead cipher.AEAD
}

// newSealer returns the sealer with a key of keySize bytes.
func newSealer(from source, key []byte) *sealer {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("plait kid"))
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the size is ours
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the block size that GCM needs
	}
	return &sealer{kid: string(from) + "-" + hex.EncodeToString(mac.Sum(nil)[:8]), aead: aead}
}

// randomKey returns a new key.
func randomKey() []byte {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	return key
}

// deriveKey returns the sealer of credentials.key, nil for none: 32 bytes in base64 are the key itself, any other text
// goes through HKDF-SHA256 (RFC 5869).
func deriveKey(text config.Secret) (*sealer, error) {
	plain := strings.TrimSpace(text.Reveal())
	if plain == "" {
		return nil, nil //nolint:nilnil // no key is no error
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if key, err := encoding.DecodeString(plain); err == nil && len(key) == keySize {
			return newSealer(sourceConfig, key), nil
		}
	}
	if len(plain) < minKeyText {
		return nil, fmt.Errorf("credentials.key has fewer than %d characters; make one with: openssl rand -base64 32", minKeyText)
	}
	key, err := hkdf.Key(sha256.New, []byte(plain), []byte("plait"), "credentials.key", keySize)
	if err != nil {
		return nil, fmt.Errorf("credentials.key: %w", err)
	}
	return newSealer(sourceConfig, key), nil
}

// seal returns the file that holds plain under a name.
func (s *sealer) seal(name string, plain []byte) ([]byte, error) {
	nonce := make([]byte, s.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return json.Marshal(envelope{V: version, Kid: s.kid, Nonce: nonce, CT: s.aead.Seal(nil, nonce, plain, bound(name))})
}

// open returns what is sealed in e under a name, or errCorrupt.
func (s *sealer) open(name string, e *envelope) ([]byte, error) {
	if len(e.Nonce) != s.aead.NonceSize() {
		return nil, errCorrupt
	}
	plain, err := s.aead.Open(nil, e.Nonce, e.CT, bound(name))
	if err != nil {
		return nil, errCorrupt
	}
	return plain, nil
}

// bound is what a seal covers besides the content: the version and where the file lies.
func bound(name string) []byte { return fmt.Appendf(nil, "plait record v%d %s", version, name) }

// parseEnvelope reads a file; the error is errCorrupt or errNewer.
func parseEnvelope(data []byte) (*envelope, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	e := &envelope{}
	if err := decoder.Decode(e); err != nil {
		return nil, errCorrupt
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errCorrupt
	}
	if e.V > version {
		return nil, errNewer
	}
	if e.V != version || e.Kid == "" {
		return nil, errCorrupt
	}
	return e, nil
}
