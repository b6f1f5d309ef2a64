package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// storyServer serves newStory on standard input and output.
func storyServer() int {
	if err := server.ServeStdio(newStory()); err != nil {
		fmt.Fprintln(os.Stderr, "story-server:", err)
		return 1
	}
	return 0
}

// newStory returns the server of the stories in testdata/script, built with mcp-go.
func newStory() *server.MCPServer {
	s := server.NewMCPServer("story", "1", server.WithCompletions(), server.WithPromptCompletionProvider(heroes{}),
		server.WithInstructions("Tell a story."))
	s.AddTool(mcp.NewTool("echo", mcp.WithDescription("Say it again\nand never mind the second line"), mcp.WithString("text", mcp.Required())), echoTool)
	s.AddTool(mcp.NewTool("arguments", mcp.WithDescription("Show the arguments"), mcp.WithNumber("count"), mcp.WithBoolean("flag"),
		mcp.WithString("text"), mcp.WithArray("list")), argumentsTool)
	s.AddTool(mcp.NewTool("fail", mcp.WithDescription("Fail")), failTool)
	s.AddTool(mcp.NewTool("hang", mcp.WithDescription("Never answer")), hangTool)
	s.AddTool(mcp.NewTool("environment", mcp.WithDescription("Show a variable"), mcp.WithString("name")), environmentTool)
	s.AddPrompt(mcp.NewPrompt("tale", mcp.WithPromptDescription("A tale"),
		mcp.WithArgument("hero", mcp.RequiredArgument()), mcp.WithArgument("end")), tale)
	s.AddResource(mcp.NewResource("story://one", "one", mcp.WithMIMEType("text/plain")), readStory)
	s.AddResourceTemplate(mcp.NewResourceTemplate("story://chapter/{n}", "chapter"), readStory)
	return s
}

func echoTool(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultText(r.GetString("text", "")), nil
}

func argumentsTool(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	text, err := json.Marshal(r.GetArguments())
	return mcp.NewToolResultText(string(text)), err
}

func failTool(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultError("the story ends badly"), nil
}

func hangTool(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func environmentTool(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	return mcp.NewToolResultText(os.Getenv(r.GetString("name", ""))), nil
}

func tale(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
	text := "Once upon a time there was " + r.Params.Arguments["hero"] + "."
	return mcp.NewGetPromptResult("A tale", []mcp.PromptMessage{mcp.NewPromptMessage(mcp.RoleUser, mcp.NewTextContent(text))}), nil
}

func readStory(_ context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
	return []mcp.ResourceContents{mcp.TextResourceContents{
		URI: r.Params.URI, MIMEType: "text/plain", Text: "the text of " + r.Params.URI,
	}}, nil
}

// heroes complete the hero of a tale.
type heroes struct{}

func (heroes) CompletePromptArgument(
	_ context.Context, _ string, a mcp.CompleteArgument, c mcp.CompleteContext,
) (*mcp.Completion, error) {
	values := []string{}
	for _, name := range []string{"odin", "odysseus", "penelope"} {
		if strings.HasPrefix(name, a.Value) {
			values = append(values, name+c.Arguments["end"])
		}
	}
	return &mcp.Completion{Values: values}, nil
}
