package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/plait-mcp/plait/config"
)

// connectSource is what mcp-oauth2-proxy takes from its environment or its file.
type connectSource struct {
	Upstream struct {
		URL              string `json:"url"`
		TimeoutMS        *int64 `json:"timeoutMs"`
		OpenServerStream *bool  `json:"openServerStream"`
		ProtocolVersion  string `json:"protocolVersion"`
	} `json:"upstream"`
	Log struct {
		Level string `json:"level"`
	} `json:"log"`
	AllowInsecureHTTP *bool       `json:"allowInsecureHttp"`
	OAuth2            oauthSource `json:"oauth2"`
}

// complement fills in what no flag says: from the environment, then from the file that MCP_PROXY_CONFIG names.
func (a *app) complement(o *connectOptions, log *config.Log, given func(flag string) bool) error {
	var s connectSource
	if file, _ := a.env.LookupEnv("MCP_PROXY_CONFIG"); file != "" {
		if err := s.readFile(file); err != nil {
			return usagef("MCP_PROXY_CONFIG: %w", err)
		}
	}
	if err := s.readEnv(a.env.LookupEnv); err != nil {
		return err
	}
	o.oauth.proxy = s.OAuth2
	if err := o.oauth.complement(given); err != nil {
		return err
	}
	if interactive := s.OAuth2.Interactive; interactive != nil && !given("non-interactive") {
		o.person = presence{flag: !*interactive, given: func() bool { return true }}
	}
	if o.url == "" {
		o.url = s.Upstream.URL
	}
	if s.Upstream.TimeoutMS != nil && !given("call-timeout") {
		o.callTimeout = time.Duration(*s.Upstream.TimeoutMS) * time.Millisecond
	}
	if s.Upstream.OpenServerStream != nil && !given("server-stream") {
		o.serverStream = *s.Upstream.OpenServerStream
	}
	if !given("protocol-version") {
		o.protocolVersion = s.Upstream.ProtocolVersion
	}
	if s.AllowInsecureHTTP != nil && !given("allow-http") {
		o.allowHTTP = *s.AllowInsecureHTTP
	}
	if level := strings.ToLower(s.Log.Level); level == "fatal" || level == "silent" {
		log.Level = "off"
	} else if level != "" {
		log.Level = level
	}
	return nil
}

// readFile reads the file of mcp-oauth2-proxy.
func (s *connectSource) readFile(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), s); err != nil {
		return fmt.Errorf("%s is not the JSON file of mcp-oauth2-proxy: %w", name, err)
	}
	return nil
}

// readEnv reads the variables of mcp-oauth2-proxy; each wins over the file.
func (s *connectSource) readEnv(lookup func(string) (string, bool)) error {
	text := func(name string, into *string) {
		if value, _ := lookup(name); value != "" {
			*into = value
		}
	}
	text("UPSTREAM_URL", &s.Upstream.URL)
	text("UPSTREAM_PROTOCOL_VERSION", &s.Upstream.ProtocolVersion)
	text("LOG_LEVEL", &s.Log.Level)
	if err := s.OAuth2.readEnv(lookup); err != nil {
		return err
	}
	if value, _ := lookup("UPSTREAM_TIMEOUT_MS"); value != "" {
		ms, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32)
		if err != nil {
			return usagef("UPSTREAM_TIMEOUT_MS: %q is not a whole number of milliseconds", value)
		}
		s.Upstream.TimeoutMS = &ms
	}
	if err := truth(lookup, "UPSTREAM_OPEN_SERVER_STREAM", &s.Upstream.OpenServerStream); err != nil {
		return err
	}
	return truth(lookup, "ALLOW_INSECURE_HTTP", &s.AllowInsecureHTTP)
}

// truth reads a variable that is on or off.
func truth(lookup func(string) (string, bool), name string, into **bool) error {
	value, _ := lookup(name)
	var on bool
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "":
		return nil
	case "1", "true", "yes", "on":
		on = true
	case "0", "false", "no", "off":
	default:
		return usagef("%s: %q is neither true nor false", name, value)
	}
	*into = &on
	return nil
}
