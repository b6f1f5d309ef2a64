package cli

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/config"
)

// pages are the help topics: help/TOPIC.md, and help/errors/ID.md for each kind of error.
//
//go:embed help
var pages embed.FS

func newHelp(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | TOPIC | PLAIT-…]",
		Short: "Tell about a command, a topic or the id of an error",
		Long: `Tell about a command, a topic or the id of an error, such as PLAIT-CFG-003.

Topics: config (the format of the file), identities (as whom to come to a server), auth (signing in), remote (signing in without
a browser), listen (who may come in over HTTP), operations (what to watch, and how it ends), reload (how a change takes
effect), errors (all ids).`,
		RunE: func(c *cobra.Command, args []string) error { return runHelp(a, c.Root(), args) },
		ValidArgsFunction: func(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return append(commandNames(c.Root()), topics()...), cobra.ShellCompDirectiveNoFileComp
		},
	}
}

func runHelp(a *app, root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return root.Help()
	}
	if len(args) == 1 {
		if text, ok := page(args[0]); ok {
			_, err := fmt.Fprint(a.env.Out, text)
			return err
		}
	}
	c, rest, err := root.Find(args)
	if err != nil || c == root || len(rest) > 0 && c.HasSubCommands() {
		word := args[0]
		return usagef("there is no help on %q%s; see plait help", strings.Join(args, " "),
			didYouMean(word, append(commandNames(root), topics()...)))
	}
	c.InitDefaultHelpFlag()
	return c.Help()
}

func commandNames(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// topics returns what there are pages for: topics and ids.
func topics() []string {
	var names []string
	_ = fs.WalkDir(pages, "help", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, strings.TrimSuffix(path.Base(name), ".md"))
		}
		return err
	})
	return names
}

// page returns the page on a topic or an id as it is shown.
func page(topic string) (string, bool) {
	name := path.Join("help", strings.ToLower(topic)+".md")
	if id := strings.ToUpper(topic); strings.HasPrefix(id, "PLAIT-") {
		name = path.Join("help", "errors", id+".md")
	}
	text, err := pages.ReadFile(name)
	if err != nil {
		return "", false
	}
	return plainText(string(text)), true
}

// plainText returns Markdown as a terminal shows it best: fences become indentation, and the lines "@keys PREFIX" and
// "@errors" what they stand for.
func plainText(markdown string) string {
	var b strings.Builder
	indent := ""
	for line := range strings.Lines(markdown) {
		bare := strings.TrimSpace(line)
		directive, argument, _ := strings.Cut(bare, " ")
		switch {
		case strings.HasPrefix(bare, "```") && indent == "":
			indent = "    "
		case strings.HasPrefix(bare, "```"):
			indent = ""
		case directive == "@keys":
			writeKeys(&b, argument, keyPrefixes(markdown))
		case directive == "@errors":
			writeErrors(&b)
		case bare == "":
			b.WriteString("\n")
		case indent != "":
			b.WriteString(indent + line)
		case strings.HasPrefix(line, "#"):
			b.WriteString(strings.TrimLeft(line, "# "))
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}

// keyPrefixes returns the arguments of all "@keys" lines of a page.
func keyPrefixes(markdown string) []string {
	var prefixes []string
	for line := range strings.Lines(markdown) {
		if argument, ok := strings.CutPrefix(strings.TrimSpace(line), "@keys"); ok {
			prefixes = append(prefixes, strings.TrimSpace(argument))
		}
	}
	return prefixes
}

// writeKeys writes the keys that stand below a prefix, and below no longer one.
func writeKeys(b *strings.Builder, prefix string, prefixes []string) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, key := range config.Keys() {
		if longestPrefix(key.Path, prefixes) != prefix {
			continue
		}
		meaning := key.Meaning
		if key.Choices != nil {
			meaning += ": " + strings.Join(key.Choices, ", ")
		}
		fmt.Fprintf(w, "    %s\t%s\t%s\n", strings.TrimPrefix(strings.TrimPrefix(key.Path, prefix), "."), key.Default, meaning)
	}
	_ = w.Flush()
}

// longestPrefix returns the longest of the prefixes that a key stands below; "" is one of all.
func longestPrefix(key string, prefixes []string) string {
	best := ""
	for _, prefix := range prefixes {
		if strings.HasPrefix(key, prefix+".") && len(prefix) > len(best) {
			best = prefix
		}
	}
	return best
}

// writeErrors writes the titles of the pages on errors.
func writeErrors(b *strings.Builder) {
	names, _ := fs.Glob(pages, "help/errors/*.md")
	slices.Sort(names)
	for _, name := range names {
		text, _ := pages.ReadFile(name)
		title, _, _ := strings.Cut(string(text), "\n")
		fmt.Fprintf(b, "    %s\n", strings.Replace(strings.TrimPrefix(title, "# "), ": ", "  ", 1))
	}
}
