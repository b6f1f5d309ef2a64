package catalog

import "fmt"

// Kind is one of the four lists.
type Kind uint8

// The kinds of items.
const (
	Tools Kind = iota
	Prompts
	Resources
	Templates
	kinds // how many there are
)

// String returns the word for one item of the kind.
func (k Kind) String() string {
	return [...]string{"tool", "prompt", "resource", "resource template"}[k]
}

// Member returns the member of a list's result that holds the items.
func (k Kind) Member() string {
	return [...]string{"tools", "prompts", "resources", "resourceTemplates"}[k]
}

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
