package cli

import (
	"fmt"
	"strings"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// progress returns what shows the progress of a call: a line for each step when a person watches, else nil.
func (a *app) progress() func(jsonrpc.Raw) {
	if !isTerminal(a.env.Err) {
		return nil
	}
	return func(params jsonrpc.Raw) { a.say("%s", progressLine(params)) }
}

// progressLine returns progress in words: "3/10 copying files".
func progressLine(params jsonrpc.Raw) string {
	var words []string
	progress, _ := jsonrpc.Get(params, "progress")
	if total, ok := jsonrpc.Get(params, "total"); ok {
		words = append(words, fmt.Sprintf("%s/%s", progress, total))
	} else {
		words = append(words, string(progress))
	}
	if message, ok := jsonrpc.GetString(params, "message"); ok {
		words = append(words, oneLine(message))
	}
	return "… " + strings.Join(words, " ")
}
