package cli

import (
	"reflect"

	"github.com/plait-mcp/plait/config"
)

// shortestSecret is how long a text must be that is taken out because a key says that it is secret: taking out every "1"
// would leave no log.
const shortestSecret = 4

// secretsOfIdentity returns the values of an identity that nobody may read: every config.Secret in it, whatever key it
// stands under.
func secretsOfIdentity(i *config.Identity) []string {
	if i == nil {
		return nil
	}
	var found []string
	collect(reflect.ValueOf(i).Elem(), func(s config.Secret) { found = append(found, s.Reveal()) })
	for _, params := range []map[string]config.Secret{i.AuthorizeParams, i.TokenParams, i.Headers} {
		for name, value := range params {
			if isSecret(name, value.Reveal()) {
				found = append(found, value.Reveal())
			}
		}
	}
	return found
}

// collect tells of the secrets in a value that are long enough. Those in maps are left out: they are parameters, of
// which few are secret.
func collect(v reflect.Value, tell func(config.Secret)) {
	switch v.Kind() { //nolint:exhaustive // the others hold none
	case reflect.String:
		if s, ok := reflect.TypeAssert[config.Secret](v); ok && len(s) >= shortestSecret {
			tell(s)
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			collect(field, tell)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			collect(v.Elem(), tell)
		}
	case reflect.Slice:
		for n := range v.Len() {
			collect(v.Index(n), tell)
		}
	}
}

// freshest is how many secrets that came at run time are remembered: tokens of every server, and those before them, which
// somebody may still say.
const freshest = 200

// note adds a secret that came at run time, such as a token. Old ones are forgotten when there are many.
func (r *redactor) note(secret string) {
	if len(secret) < shortestSecret {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.values[secret] {
		return
	}
	r.values[secret] = true
	r.fresh = append(r.fresh, secret)
	if len(r.fresh) > freshest {
		delete(r.values, r.fresh[0])
		r.fresh = r.fresh[1:]
	}
	r.compile()
}
