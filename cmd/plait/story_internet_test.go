package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/mark3labs/mcp-go/server"
	"github.com/rogpeppe/go-internal/testscript"
)

// internet is the command `internet HOST...`: a story server that is found at https://HOST, at any path, through the
// proxy and the authority that it puts into the environment of the story.
func internet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: internet HOST...")
	}
	cert, authority := certify(ts, args)
	story := server.NewStreamableHTTPServer(newStory())
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "localhost" // mcp-go listens to no other here
		story.ServeHTTP(w, r)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	proxy := httptest.NewServer(tunnel(s.Listener.Addr().String()))
	ts.Defer(func() {
		proxy.CloseClientConnections()
		proxy.Close()
		s.CloseClientConnections()
		s.Close()
	})
	file := ts.MkAbs("authority.pem")
	ts.Check(os.WriteFile(file, authority, 0o600))
	ts.Setenv("SSL_CERT_FILE", file)
	ts.Setenv("HTTPS_PROXY", proxy.URL)
	ts.Setenv("NO_PROXY", "")
}

// certify returns a certificate for the hosts, and itself as the authority that vouches for it.
func certify(ts *testscript.TestScript, hosts []string) (tls.Certificate, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "story"}, DNSNames: hosts, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// tunnel is a proxy that leads every CONNECT to one address.
func tunnel(address string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		there, err := net.Dial("tcp", address)
		if err != nil || r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer there.Close()
		w.WriteHeader(http.StatusOK)
		here, said, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer here.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(there, said) // which may have begun before it was hijacked
			there.Close()
		}()
		_, _ = io.Copy(here, there)
		here.Close()
		<-done
	})
}
