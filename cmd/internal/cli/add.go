package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config/edit"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newEntry is a server as a command line describes it.
type newEntry struct {
	name      string
	url       string
	command   []string // with its arguments
	headers   []string // Name: value
	env       []string // NAME=value
	transport string
	more      edit.Fields
}

type addOptions struct {
	editing
	newEntry

	prefix string
}

func newAdd(a *app) *cobra.Command {
	o := addOptions{editing: editing{app: a}}
	c := &cobra.Command{
		Use:   "add NAME (--url URL | -- COMMAND ARG...)",
		Short: "Add a server to the configuration file",
		Long: `Add a server to the configuration file. Comments, order and everything else stay as they are.

Where there is no file, plait.yaml in the user's config folder is made, for its owner only. The file is checked before it is
written: one that would not work is refused. ${VAR} in a value is written as it is and looked up when plait serves; what
looks like a secret is written as given, with a warning.

The command line of another program may be pasted, as it is or in quotes:

  plait add claude mcp add --transport http linear https://mcp.linear.app/mcp --header 'Authorization: Bearer ${TOKEN}'
  plait add 'code --add-mcp {"name":"linear","url":"https://mcp.linear.app/mcp"}'`,
		Example: `  plait add linear --url https://mcp.linear.app/mcp --header 'Authorization: Bearer ${LINEAR_TOKEN}'
  plait add files -- npx -y @modelcontextprotocol/server-filesystem /srv`,
		DisableFlagParsing: true, // a pasted line has the flags of its own program
		RunE:               o.parse,
	}
	f := c.Flags()
	f.StringVar(&o.url, "url", "", "the `address` of the server")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "a `header` that is sent with every request, 'Name: value' (repeatable)")
	f.StringArrayVarP(&o.env, "env", "e", nil, "a `variable` of the command, NAME=value (repeatable)")
	f.StringVarP(&o.transport, "transport", "t", "", "http-first, sse-first, http or sse (default http-first)")
	f.StringVar(&o.prefix, "prefix", "", `in front of its names (default NAME; "" for none)`)
	o.flags(c)
	return c
}

// parse reads the arguments, which may hold a pasted line.
func (o *addOptions) parse(c *cobra.Command, args []string) error {
	c.DisableFlagParsing = false
	own, line, pasted := findPasted(args)
	if err := c.ParseFlags(own); errors.Is(err, pflag.ErrHelp) {
		return c.Help()
	} else if err != nil {
		return usagef("%w; see %s --help", err, c.CommandPath())
	}
	if help, _ := c.Flags().GetBool("help"); help {
		return c.Help()
	}
	if pasted {
		entry, err := parsePasted(line)
		if err != nil {
			return err
		}
		o.newEntry = *entry
		return o.run(c.Context())
	}
	rest := c.Flags().Args()
	if len(rest) == 0 {
		return usagef("%s needs a name; see %s --help", c.CommandPath(), c.CommandPath())
	}
	o.name, o.command = rest[0], rest[1:]
	if len(o.command) == 1 && isURL(o.command[0]) && o.url == "" {
		o.url, o.command = o.command[0], nil
	}
	if c.Flags().Changed("prefix") {
		o.more = append(o.more, edit.Field{Key: "prefix", Value: o.prefix})
	}
	return o.run(c.Context())
}

func isURL(s string) bool { return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") }

func (o *addOptions) run(ctx context.Context) error {
	entry, err := o.fields()
	if err != nil {
		return err
	}
	d, err := o.openConfig()
	if err != nil {
		return err
	}
	keys := []string{d.doc.ServersKey(), o.name}
	if _, there := d.doc.Get(keys...); there {
		return coded(idNameTaken, "%s: server %q is there already; choose another name, or take it out with plait remove %s",
			d.doc.Pos(keys...), o.name, o.name)
	}
	if at, there := o.below(ctx, d, o.name); there {
		return coded(idNameTaken, "%s: server %q is there already, in a file that %s extends; choose another name", at, o.name, d.path)
	}
	o.warnOfSecrets(o.name, entry)
	if err := d.put(keys, entry); err != nil {
		return err
	}
	if err := o.check(ctx, d); err != nil {
		return err
	}
	return o.finish(d, "added "+o.name+" to "+d.path+"; see its tools with plait tools list --server "+o.name)
}

// fields returns the entry as it is written.
func (n *newEntry) fields() (edit.Fields, error) {
	var entry edit.Fields
	switch {
	case strings.TrimSpace(n.name) == "":
		return nil, usagef("a name is empty")
	case n.url != "" && len(n.command) > 0:
		return nil, usagef("server %q has a URL and a command; give one of them", n.name)
	case n.url != "":
		entry = edit.Fields{{Key: "url", Value: n.url}}
	case len(n.command) > 0:
		entry = edit.Fields{{Key: "command", Value: n.command[0]}}
		if len(n.command) > 1 {
			entry = append(entry, edit.Field{Key: "args", Value: anys(n.command[1:])})
		}
	case n.more.Get("url") == nil && n.more.Get("command") == nil:
		return nil, usagef("server %q needs --url URL, or -- and a command", n.name)
	}
	if n.transport != "" && n.transport != "stdio" {
		entry = append(entry, edit.Field{Key: "transport", Value: n.transport})
	}
	for _, list := range []struct {
		key, between string
		pairs        []string
	}{{"headers", ":", n.headers}, {"env", "=", n.env}} {
		fields, err := pairs(list.key, list.between, list.pairs)
		if err != nil {
			return nil, err
		}
		if len(fields) > 0 {
			entry = append(entry, edit.Field{Key: list.key, Value: fields})
		}
	}
	return append(entry, n.more...), nil
}

// pairs splits names from values. Of one name that is there twice the last value counts.
func pairs(noun, between string, texts []string) (edit.Fields, error) {
	var fields edit.Fields
	for _, text := range texts {
		name, value, ok := strings.Cut(text, between)
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, usagef("one of %s is not NAME%sVALUE", noun, between)
		}
		if between == ":" {
			value = strings.TrimSpace(value)
		}
		fields = slices.DeleteFunc(fields, func(f edit.Field) bool { return f.Key == name })
		fields = append(fields, edit.Field{Key: name, Value: value})
	}
	return fields, nil
}

func anys(texts []string) []any {
	var all []any
	for _, t := range texts {
		all = append(all, t)
	}
	return all
}
