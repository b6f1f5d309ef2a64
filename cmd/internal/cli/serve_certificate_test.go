package cli

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
)

// TestCertificateReminds serves for 20 days with a certificate that ends after 14: there is a warning every day, though nobody
// comes.
func TestCertificateReminds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-76 * day), NotAfter: time.Now().Add(14*day + time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		files := config.ServeTLS{Cert: filepath.Join(t.TempDir(), "cert.pem"), Key: filepath.Join(t.TempDir(), "key.pem")}
		for name, block := range map[string]*pem.Block{files.Cert: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: secret}} {
			if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var said bytes.Buffer
		c, err := openCertificate(files, hclog.New(&hclog.LoggerOptions{Output: &said}))
		if err != nil {
			t.Fatal(err)
		}
		s := newSocket(time.Second)
		defer s.Close()
		s.adopt(wires{tls: c})
		l := newLive(nil, nil, nil, "")
		l.entrance = &entrance{socket: s}
		ctx, end := context.WithTimeout(t.Context(), 20*day+2*time.Hour)
		defer end()
		l.run(ctx)
		soon, over := strings.Count(said.String(), "expires soon"), strings.Count(said.String(), "has expired")
		if soon != 14 || over != 6 {
			t.Errorf("%d warnings before the end, want 14, and %d after it, want 6:\n%s", soon, over, said.String())
		}
	})
}
