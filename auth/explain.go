package auth

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/plait-mcp/plait/auth/challenge"
	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/config"
)

// Explain asks a server and its authorization server anew and returns each step: what was looked at, what it found, and
// which key of the configuration overrides it. Nobody signs in. The error is what the last step ended with.
func (m *Manager) Explain(ctx context.Context, server *config.Server) ([]discovery.Step, error) {
	c, err := m.client(server)
	if err != nil {
		return nil, err
	}
	defer c.CloseIdleConnections()
	s := c.site
	x := &explanation{}
	x.add(discovery.Step{Name: "identity", Result: discovery.Configured, Detail: s.identity.Name + ", grant: " + string(s.identity.Grant), Key: "identity"})
	if !s.usesOAuth() {
		return x.steps, nil
	}
	if s.identity.Grant == config.GrantExec {
		x.add(discovery.Step{Name: "token", Result: discovery.Configured, Detail: "a command prints it", Key: "command"})
		return x.steps, nil
	}
	bearer, open := c.probe(ctx)
	x.add(describeProbe(server, bearer, open))
	r := s.request(s.identity, bearer)
	r.Since, r.Trail = time.Now(), x.add
	found, err := discovery.Resolve(ctx, r)
	if err != nil {
		if _, none := errors.AsType[*discovery.NotOAuthError](err); none && open {
			return x.steps, nil
		}
		return x.steps, s.typed(err)
	}
	b := &bond{Found: found}
	x.add(discovery.Step{Name: "scopes", Result: discovery.OK, Detail: orNone(strings.Join(s.scopes(b), " ")), Key: "scopes"})
	x.add(discovery.Step{Name: "resource", Result: discovery.OK, Detail: orNone(s.resource(b)), Key: "resource"})
	x.add(s.describeClient(found))
	x.add(m.describeGrant(ctx, s))
	return x.steps, nil
}

// explanation collects steps. Any goroutine may add one.
type explanation struct {
	mu    sync.Mutex
	steps []discovery.Step
}

func (x *explanation) add(step discovery.Step) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.steps = append(x.steps, step)
}

func describeProbe(server *config.Server, bearer *challenge.Challenge, open bool) discovery.Step {
	step := discovery.Step{Name: "challenge of the server", URL: hostOf(server.URL), Result: discovery.Missing}
	switch {
	case open:
		step.Detail = "it answers without credentials"
	case bearer == nil:
		step.Detail = "its answer holds no challenge of the kind Bearer"
	default:
		step.Result = discovery.OK
		step.Detail = "resource_metadata " + orNone(hostOf(bearer.ResourceMetadata())) + ", scope " + orNone(strings.Join(bearer.Scopes(), " "))
	}
	return step
}

// describeClient says as which client plait would come to the authorization server.
func (s *site) describeClient(found *discovery.Found) discovery.Step {
	step := discovery.Step{Name: "client", Result: discovery.OK, Key: "clientId"}
	switch md := found.Server; {
	case s.identity.ClientID != "":
		step.Result, step.Detail = discovery.Configured, s.identity.ClientID
	case md.ClientIDMetadataDocument && s.identity.ClientMetadataURL != "" && s.identity.Registration != "dynamic":
		step.Detail, step.Key = "the document "+hostOf(s.identity.ClientMetadataURL), "clientMetadataUrl"
	case md.RegistrationEndpoint != "":
		step.Detail, step.URL, step.Key = "plait registers itself", hostOf(md.RegistrationEndpoint), "registration"
	default:
		step.Result, step.Detail = discovery.Missing, "the authorization server registers nobody by itself"
	}
	return step
}

// describeGrant says what is saved.
func (m *Manager) describeGrant(ctx context.Context, s *site) discovery.Step {
	step := discovery.Step{Name: "sign-in", Result: discovery.Missing, Detail: "nobody is signed in"}
	b, err := s.bond(ctx)
	if err != nil || b == nil || b.Grant == "" {
		return step
	}
	rec := m.signedIn(ctx, b)
	if rec == nil {
		return step
	}
	step.Result = discovery.OK
	step.Detail = "since " + rec.SignedIn.Format(time.RFC3339)
	if over := rec.Expired(); over != nil {
		step.Result, step.Detail = discovery.Refused, over.Reason
	}
	return step
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
