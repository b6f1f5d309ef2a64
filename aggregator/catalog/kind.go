package catalog

import (
	"fmt"

	"github.com/plait-mcp/plait/upstream/protocol"
)

// Kind is one of the four lists that a catalog merges.
type Kind = protocol.List

// The kinds of items.
const (
	Tools     = protocol.Tools
	Prompts   = protocol.Prompts
	Resources = protocol.Resources
	Templates = protocol.Templates
	kinds     = protocol.Lists
)

// Entry is one exposed item.
type Entry struct {
	Server  string // the server it is on
	Name    string // its name there; a resource's URI, a template's text
	Exposed string // what the client calls it
}

// Warning says what was wrong with an item. Equal warnings are equal values.
type Warning struct {
	Server  string
	Kind    Kind
	Item    string // its name, or "#3" for the third of the list
	Problem string // what is wrong and what became of the item
}

// String returns the warning in one line.
func (w Warning) String() string {
	return fmt.Sprintf("%s: %s %s: %s", w.Server, w.Kind, w.Item, w.Problem)
}
