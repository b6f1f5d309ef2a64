package config

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/plait-mcp/plait/config/tree"
)

const (
	fetchTimeout = 10 * time.Second
	maxRedirects = 5
)

// remoteLayer is the shape of a layer that is fetched.
type remoteLayer struct {
	URL    string `koanf:"url"`
	SHA256 string `koanf:"sha256"`
}

// extendRemote adds a layer that is fetched, or was once. It is used only if it is what its sha256 says.
func (l *loader) extendRemote(ctx context.Context, n *tree.Node, at place, chain []string) {
	before := len(l.problems)
	values, _ := l.shape(n, reflect.TypeFor[remoteLayer](), at).(map[string]any)
	var r remoteLayer
	l.decode(ctx, values, &r)
	if len(l.problems) > before {
		return
	}
	key := func(name string) place {
		for _, m := range n.Members {
			if canonical(reflect.TypeFor[remoteLayer](), m.Key) == name {
				return at.child(m.Key, m.Pos)
			}
		}
		return at
	}
	u, err := url.Parse(r.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		l.report(key("url"), IDURL, "is not a URL of https://", "write https://host/path")
		return
	}
	sum := strings.ToLower(r.SHA256)
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha256.Size {
		l.report(key("sha256"), IDSHA256, "is not a SHA-256 sum", fmt.Sprintf("write %d hexadecimal digits", 2*sha256.Size))
		return
	}
	name := u.Scheme + "://" + u.Host + u.Path
	if slices.Contains(chain, sum) {
		l.report(at, IDExtends, "goes in a circle", "remove it")
		return
	}
	data, err := l.fetchOnce(ctx, u, sum)
	if err != nil {
		l.report(key("url"), IDRemote, "cannot be fetched: "+err.Error(), "try again, or check the address")
		return
	}
	if got := sumOf(data); got != sum {
		l.report(key("sha256"), IDSHA256, "is not the sum of what is there, which is "+got, "look at what has changed before you write the new sum")
		return
	}
	y := &layer{name: name, own: isOwn(u.Path), remote: true}
	l.addLayer(ctx, y, data, append(slices.Clip(chain), sum))
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// fetchOnce returns the layer with that sum from the user's cache folder, or else from where it is, and keeps it.
func (l *loader) fetchOnce(ctx context.Context, u *url.URL, sum string) ([]byte, error) {
	folder, folderErr := cacheFolder(l.env)
	kept := filepath.Join(folder, "layers", sum)
	if data, err := tree.ReadFile(kept, tree.MaxSize); folderErr == nil && err == nil && sumOf(data) == sum {
		return data, nil
	}
	if l.options.Offline {
		return nil, fmt.Errorf("it was never fetched before: %w", errOffline)
	}
	data, err := fetch(ctx, u)
	if err != nil || sumOf(data) != sum || folderErr != nil {
		return data, err
	}
	_ = keep(kept, data) // next time it is fetched again
	return data, nil
}

// fetch gets what is at u. It follows redirects to the same host only.
func fetch(ctx context.Context, u *url.URL) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if next.URL.Scheme != u.Scheme || next.URL.Host != u.Host || len(via) > maxRedirects {
			return fmt.Errorf("it redirects to %s://%s", next.URL.Scheme, next.URL.Host)
		}
		return nil
	}}
	response, err := client.Do(request)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", response.Status)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, tree.MaxSize+1))
	if err == nil && len(data) > tree.MaxSize {
		err = fmt.Errorf("it is larger than %d MiB", tree.MaxSize>>20)
	}
	return data, err
}

// withoutURL returns the reason of an error of net/http, which shows the URL and what is secret in it.
func withoutURL(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // the outermost one
		return u.Err
	}
	return err
}

// keep writes a file that nobody else may read, whole or not at all.
func keep(path string, data []byte) error {
	const ownerOnly = 0o700
	if err := os.MkdirAll(filepath.Dir(path), ownerOnly); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// cacheFolder returns plait's folder in the user's cache folder: what os.UserCacheDir names, but from lookupEnv.
func cacheFolder(lookupEnv lookup) (string, error) {
	if dir, _ := lookupEnv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "plait"), nil
	}
	if dir, _ := lookupEnv("LocalAppData"); runtime.GOOS == "windows" && dir != "" {
		return filepath.Join(dir, "plait"), nil
	}
	home, err := homeFolder(lookupEnv)
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Caches", "plait"), err
	}
	return filepath.Join(home, ".cache", "plait"), err
}
