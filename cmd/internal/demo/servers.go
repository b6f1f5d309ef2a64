package demo

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type searchInput struct {
	Query string `json:"query" jsonschema:"what to look for"`
}

func books() []string {
	return []string{"The Odyssey", "Moby-Dick", "Treasure Island", "The Sea-Wolf", "Lord Jim"}
}

// library is the server over Streamable HTTP.
func library() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "library", Version: "1"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "search", Description: "Search the titles of the library"},
		func(_ context.Context, _ *mcp.CallToolRequest, in searchInput) (*mcp.CallToolResult, any, error) {
			return reply(matching(books(), in.Query)...), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "index", Description: "Index all books, with progress"}, index)
	s.AddResource(&mcp.Resource{URI: "library://books", Name: "books", MIMEType: "text/plain"},
		func(_ context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{
				{URI: r.Params.URI, MIMEType: "text/plain", Text: strings.Join(books(), "\n")},
			}}, nil
		})
	return s
}

// index takes a moment for each book and says so.
func index(ctx context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	step := time.NewTicker(100 * time.Millisecond)
	defer step.Stop()
	all := books()
	for i, title := range all {
		select {
		case <-step.C:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
		token := r.Params.GetProgressToken()
		if token == nil {
			continue
		}
		err := r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
			ProgressToken: token, Progress: float64(i + 1), Total: float64(len(all)), Message: title,
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return reply(fmt.Sprintf("%d books are indexed", len(all))), nil, nil
}

// notes is the server over HTTP+SSE.
func notes() *mcp.Server {
	kept := []string{"buy rope", "splice the three strands", "return the sea chart to the library"}
	s := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "search", Description: "Search the notes"},
		func(_ context.Context, _ *mcp.CallToolRequest, in searchInput) (*mcp.CallToolResult, any, error) {
			return reply(matching(kept, in.Query)...), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "count", Description: "Count the notes"},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return reply(fmt.Sprintf("%d notes", len(kept))), nil, nil
		})
	s.AddPrompt(&mcp.Prompt{Name: "review", Description: "Go through the notes"},
		func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			text := "Which of these notes are done?\n" + strings.Join(kept, "\n")
			return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: text}}}}, nil
		})
	return s
}

// desk is the server over standard input and output.
func desk() *mcp.Server {
	type sumInput struct {
		Numbers []float64 `json:"numbers" jsonschema:"what to add"`
	}
	s := mcp.NewServer(&mcp.Implementation{Name: "desk", Version: "1"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "sum", Description: "Add numbers"},
		func(_ context.Context, _ *mcp.CallToolRequest, in sumInput) (*mcp.CallToolResult, any, error) {
			total := 0.0
			for _, n := range in.Numbers {
				total += n
			}
			return reply(fmt.Sprint(total)), nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "process", Description: "Say which process this is"},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return reply(fmt.Sprintf("process %d, child of %d", os.Getpid(), os.Getppid())), nil, nil
		})
	return s
}

func matching(lines []string, query string) []string {
	found := slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		return !strings.Contains(strings.ToLower(line), strings.ToLower(query))
	})
	if len(found) == 0 {
		return []string{"nothing found"}
	}
	return found
}

func reply(lines ...string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: strings.Join(lines, "\n")}}}
}
