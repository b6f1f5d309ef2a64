package config_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/config"
)

func TestSecretIsNotPrinted(t *testing.T) {
	s := config.Server{Headers: map[string]config.Secret{"A": "s3cret"}, Secrets: []config.Secret{"s3cret"}}
	inJSON, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	one := s.Secrets[0]
	for _, said := range []string{
		string(inJSON), fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%v", &s), fmt.Sprintf("%s %q %x %d", one, one, one, one),
		one.String(), one.GoString(), fmt.Errorf("header %v: %w", one, fmt.Errorf("%s", one)).Error(),
	} {
		if strings.Contains(said, "s3cret") || strings.Contains(said, "733363726574") || !strings.Contains(said, "[redacted]") {
			t.Errorf("said %s", said)
		}
	}
	if got := one.Reveal(); got != "s3cret" {
		t.Errorf("Reveal() = %q", got)
	}
}
