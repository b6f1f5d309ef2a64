package cli

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
)

// certificate is one that is read again when its files change, in whatever way that happens: what they hold counts.
type certificate struct {
	config.ServeTLS

	log    hclog.Logger
	server *tls.Config // that shows it

	mu      sync.Mutex
	current *tls.Certificate
	texts   [2][]byte // of the files that were tried last
	looked  time.Time
	missing bool // a file could not be read when last looked at
}

const (
	often = time.Second         // bounds how often the files are looked at
	soon  = 14 * 24 * time.Hour // before its end a certificate is warned of
)

// openCertificate reads a certificate that is used in connections from then on.
func openCertificate(files config.ServeTLS, log hclog.Logger) (*certificate, error) {
	c := &certificate{ServeTLS: files, log: log}
	if _, err := c.load(); err != nil {
		return nil, usagef("serve.http.tls: %w; check both files", err)
	}
	c.warn()
	c.server = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: c.get}
	return c, nil
}

// get implements tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) > often && c.look() {
		c.warn()
	}
	return c.current, nil
}

// remind warns of a certificate that ends soon, once more.
func (c *certificate) remind() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	c.warn()
}

// warn warns of a certificate that ends soon, or has ended. Those that live for days are renewed in the last third of that.
func (c *certificate) warn() {
	leaf := c.current.Leaf
	left := time.Until(leaf.NotAfter)
	if left >= min(soon, leaf.NotAfter.Sub(leaf.NotBefore)/3) {
		return
	}
	message := "the certificate expires soon; write another one into its files, which plait takes over"
	if left <= 0 {
		message = "the certificate has expired, and clients refuse it; write another one into its files, which plait takes over"
	}
	c.log.Warn(message, "file", c.Cert, "until", leaf.NotAfter)
}

// look takes over what the files hold, and reports whether that is another certificate.
func (c *certificate) look() (fresh bool) {
	fresh, err := c.load()
	if err != nil {
		c.log.Warn("the new certificate cannot be used; the old one stays until its files are right", "err", err)
	} else if fresh {
		c.log.Info("the certificate was replaced", "until", c.current.Leaf.NotAfter)
	}
	return fresh
}

// load reads the files, and reports whether there is another certificate. What was tried before is no error again.
func (c *certificate) load() (fresh bool, err error) {
	c.looked = time.Now()
	var texts [2][]byte
	for i, name := range []string{c.Cert, c.Key} {
		if texts[i], err = os.ReadFile(name); err != nil {
			known := c.missing
			if c.missing = true; known {
				return false, nil
			}
			return false, err
		}
	}
	c.missing = false
	if bytes.Equal(texts[0], c.texts[0]) && bytes.Equal(texts[1], c.texts[1]) {
		return false, nil
	}
	c.texts = texts
	pair, err := tls.X509KeyPair(texts[0], texts[1])
	if err != nil {
		return false, fmt.Errorf("%s and %s: %w", c.Cert, c.Key, err)
	}
	c.current = &pair
	return true, nil
}
