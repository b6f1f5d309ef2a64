package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// newCertificate writes a new certificate of this machine and its key into files, and returns them and who vouches for it.
func newCertificate(tb testing.TB, name string) (cert, key string, roots *x509.CertPool) {
	tb.Helper()
	return certificateOf(tb, name, time.Hour, time.Hour)
}

// certificateOf is newCertificate for one that is that old, and has this time left.
func certificateOf(tb testing.TB, name string, age, left time.Duration) (cert, key string, roots *x509.CertPool) {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: time.Now().Add(-age), NotAfter: time.Now().Add(left),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		tb.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	folder := tb.TempDir()
	cert, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	writeFile(tb, cert, string(certificate))
	writeFile(tb, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	return cert, key, roots
}

func writeFile(tb testing.TB, name, text string) {
	tb.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// TestGateCertificate changes the certificate while it is used: files that are replaced, a folder that is swapped as
// Kubernetes does it, and files that are broken, which change nothing and are told once.
func TestGateCertificate(t *testing.T) {
	t.Parallel()
	short(t)
	if runtime.GOOS == "windows" {
		t.Skip("swaps symbolic links")
	}
	folder := t.TempDir()
	now := filepath.Join(folder, "now")
	swap := func(to string) {
		t.Helper()
		next := filepath.Join(folder, "next")
		if err := os.Symlink(to, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, now); err != nil {
			t.Fatal(err)
		}
	}
	first, _, roots := newCertificate(t, "first")
	second, secondKey, secondRoots := newCertificate(t, "second")
	swap(filepath.Dir(first))
	base, p := listen(t, nil, "connect", serveRemote(t, nil).mcp(), "--listen", "127.0.0.1:0",
		"--tls-cert", filepath.Join(now, "cert.pem"), "--tls-key", filepath.Join(now, "key.pem"))
	if !strings.HasPrefix(base, "https://") {
		t.Fatal(base)
	}
	v := &visitor{tb: t, url: base + "/mcp", roots: roots}
	v.hello()
	plain := &visitor{tb: t, url: "http" + strings.TrimPrefix(base, "https") + "/mcp"}
	plain.want(visitorHello, http.StatusBadRequest)
	if _, err := tls.Dial("tcp", strings.TrimPrefix(base, "https://"), &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	shows := func(name string, roots *x509.CertPool) {
		t.Helper()
		v.roots = roots
		until(t, "the certificate of "+name, func() bool {
			status, shown := v.send(visitorPing)
			return status == http.StatusOK && shown.DNSNames[0] == name
		})
	}
	swap(filepath.Dir(second))
	shows("second", secondRoots)

	broken := t.TempDir()
	writeFile(t, filepath.Join(broken, "cert.pem"), "-----BEGIN")
	writeFile(t, filepath.Join(broken, "key.pem"), "-----BEGIN")
	swap(broken)
	warned := func() int { return linesWith(p.said(t), "the new certificate cannot be used") }
	until(t, "a warning", func() bool { shows("second", secondRoots); return warned() > 0 })

	third, thirdKey, thirdRoots := newCertificate(t, "third")
	for from, to := range map[string]string{third: second, thirdKey: secondKey} { // in place, the one after the other
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, to, string(text))
	}
	swap(filepath.Dir(second))
	shows("third", thirdRoots)
	if n := warned(); n != 1 {
		t.Errorf("%d warnings of broken files, want one", n)
	}
}

// TestGateExpiry serves with a certificate that ends soon, one that has ended, and one that lives on: plait warns once of each
// of the first two, when it is read, also when it is read again.
func TestGateExpiry(t *testing.T) {
	t.Parallel()
	short(t)
	const day = 24 * time.Hour
	ending, endingKey, roots := newCertificate(t, "ending") // of two hours
	e := &endpoint{
		tb: t, file: filepath.Join(t.TempDir(), "plait.json"), server: serveRemote(t, nil).mcp(),
		settings: map[string]any{"listen": ":0", "tls": map[string]any{"cert": ending, "key": endingKey}},
	}
	home := homeIn(t.TempDir())
	e.env = append(testEnv(t), home...)
	e.save()
	base, p := listen(t, home, "serve", "--config", e.file)
	v := &visitor{tb: t, url: base + "/mcp", roots: roots}
	v.hello()
	told := func(words string, want int) {
		t.Helper()
		if n := linesWith(p.said(t), words); n != want {
			t.Errorf("the log says %d times %q, want %d", n, words, want)
		}
	}
	told("[WARN]", 0)
	for i, c := range []struct {
		left           time.Duration
		soon, warnings int
	}{
		{14*day - time.Hour, 1, 1}, {-time.Minute, 1, 2}, {15 * day, 1, 2},
	} {
		cert, key, _ := certificateOf(t, "next", 75*day, c.left)
		for from, to := range map[string]string{cert: ending, key: endingKey} {
			text, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, to, string(text))
		}
		until(t, "the next certificate", func() bool { v.send(visitorPing); return linesWith(p.said(t), "the certificate was replaced") == i+1 })
		told("the certificate expires soon; write another one into its files, which plait takes over", c.soon)
		told("file="+ending+" until=", c.warnings)
	}
	soon, soonKey, _ := certificateOf(t, "soon", 75*day, -day)
	e.set("tls", map[string]any{"cert": soon, "key": soonKey}, 0, "serve.http.tls.cert")
	e.set("sse", false, 0, "serve.http.sse")
	told("the certificate has expired, and clients refuse it; write another one into its files, which plait takes over", 2)
	told("file="+soon+" until=\""+time.Now().Add(-day).UTC().Format("2006-01-02"), 1)
}
