package protocol

import (
	"slices"
	"testing"
)

func TestNegotiate(t *testing.T) {
	for offered, want := range map[string]string{
		V20241105: V20241105, V20250326: V20250326, V20250618: V20250618, V20251125: V20251125,
		"2026-07-28": V20251125, "1999-01-01": V20251125, "": V20251125,
	} {
		if got := Negotiate(offered); got != want {
			t.Errorf("Negotiate(%q) = %q, want %q", offered, got, want)
		}
	}
}

func TestListsOf(t *testing.T) {
	for notification, want := range map[string][]List{
		"notifications/tools/list_changed":     {Tools},
		"notifications/prompts/list_changed":   {Prompts},
		"notifications/resources/list_changed": {Resources, Templates},
		"notifications/roots/list_changed":     nil,
		"notifications/message":                nil,
	} {
		if got := ListsOf(notification); !slices.Equal(got, want) {
			t.Errorf("ListsOf(%s) = %v, want %v", notification, got, want)
		}
	}
}

func TestHop(t *testing.T) {
	for key, want := range map[string]bool{
		"traceparent": false, "com.acme/x": false, "progressToken": false, "ui": false,
		"io.modelcontextprotocol/related-task":   false,
		"io.modelcontextprotocol/subscriptionId": true,
		"io.modelcontextprotocol/clientInfo":     true,
	} {
		if got := Hop(key); got != want {
			t.Errorf("Hop(%s) = %v, want %v", key, got, want)
		}
	}
}
