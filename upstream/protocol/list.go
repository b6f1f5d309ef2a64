package protocol

import "github.com/mark3labs/mcp-go/mcp"

// List is one of the lists that a server keeps.
type List uint8

// The lists. Templates belong to the capability, and to the notification, of resources.
const (
	Tools List = iota
	Prompts
	Resources
	Templates
	Lists // how many there are
)

type list struct{ item, method, member, capability, changed string }

var lists = [Lists]list{
	Tools:     {"tool", string(mcp.MethodToolsList), "tools", "tools", toolsChanged},
	Prompts:   {"prompt", string(mcp.MethodPromptsList), "prompts", "prompts", promptsChanged},
	Resources: {"resource", string(mcp.MethodResourcesList), "resources", "resources", resourcesChanged},
	Templates: {"resource template", string(mcp.MethodResourcesTemplatesList), "resourceTemplates", "resources", resourcesChanged},
}

// String returns the word for one item of the list.
func (l List) String() string { return lists[l].item }

// Method returns the request that asks for the list.
func (l List) Method() string { return lists[l].method }

// Member returns the member of the result that holds the items.
func (l List) Member() string { return lists[l].member }

// Capability returns the capability of a server that has the list.
func (l List) Capability() string { return lists[l].capability }

// Changed returns the notification that says the list changed.
func (l List) Changed() string { return lists[l].changed }

// ListsOf returns the lists that a notification says to have changed, nil for any other notification.
func ListsOf(notification string) []List {
	var of []List
	for l := range Lists {
		if lists[l].changed == notification {
			of = append(of, l)
		}
	}
	return of
}
