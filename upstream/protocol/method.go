package protocol

import (
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// Requests of a client.
const (
	Initialize    = string(mcp.MethodInitialize)
	Ping          = string(mcp.MethodPing)
	ToolsCall     = string(mcp.MethodToolsCall)
	PromptsGet    = string(mcp.MethodPromptsGet)
	ResourcesRead = string(mcp.MethodResourcesRead)
	Subscribe     = string(mcp.MethodResourcesSubscribe)
	Unsubscribe   = string(mcp.MethodResourcesUnsubscribe)
	Complete      = string(mcp.MethodCompletionComplete)
	SetLevel      = string(mcp.MethodSetLogLevel)
	TasksGet      = string(mcp.MethodTasksGet)
	TasksResult   = string(mcp.MethodTasksResult)
	TasksList     = string(mcp.MethodTasksList)
	TasksCancel   = string(mcp.MethodTasksCancel)
)

// Requests of a server.
const (
	CreateMessage = string(mcp.MethodSamplingCreateMessage)
	Elicit        = string(mcp.MethodElicitationCreate)
	ListRoots     = string(mcp.MethodListRoots)
)

// Notifications.
const (
	Initialized      = string(mcp.MethodNotificationInitialized)
	Cancelled        = string(mcp.MethodNotificationCancelled)
	Progress         = string(mcp.MethodNotificationProgress)
	LogMessage       = string(mcp.MethodNotificationMessage)
	Updated          = string(mcp.MethodNotificationResourceUpdated)
	RootsChanged     = string(mcp.MethodNotificationRootsListChanged)
	TaskStatus       = string(mcp.MethodNotificationTasksStatus)
	ElicitComplete   = string(mcp.MethodNotificationElicitationComplete)
	toolsChanged     = string(mcp.MethodNotificationToolsListChanged)
	promptsChanged   = string(mcp.MethodNotificationPromptsListChanged)
	resourcesChanged = string(mcp.MethodNotificationResourcesListChanged)
)

// CodeURLElicitation asks the client to let its user visit a URL first (2025-11-25, elicitation).
const CodeURLElicitation = mcp.URL_ELICITATION_REQUIRED

// MetaPrefix begins the keys of _meta that the protocol reserves for itself.
const MetaPrefix = "io.modelcontextprotocol/"

// Hop reports whether a reserved key of _meta is between one client and one server only, so that a proxy
// does not pass it on in this era. Keys of other owners always pass.
func Hop(key string) bool {
	switch key {
	case MetaPrefix + "related-task", MetaPrefix + "model-immediate-response":
		return false
	}
	return strings.HasPrefix(key, MetaPrefix)
}
