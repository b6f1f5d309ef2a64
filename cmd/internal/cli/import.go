package cli

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config/edit"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/config"
)

type importOptions struct {
	editing

	all     bool
	servers []string
}

func newImport(a *app) *cobra.Command {
	o := importOptions{editing: editing{app: a}}
	var names []string
	for _, c := range clients() {
		names = append(names, c.name)
	}
	c := &cobra.Command{
		Use:   "import CLIENT|FILE|-",
		Short: "Take the servers of an MCP client over into the configuration file",
		Long: `Take the servers of an MCP client over into the configuration file, or those of a file in the form of any client; "-" is
standard input. The client's own file is only read.

CLIENT is one of ` + strings.Join(names, ", ") + `.
What is taken over, and what is not and why, is printed as a table. Servers that are there already stay as they are, and
plait's own entry is never taken over. An ${input:…} of an editor becomes a variable that you set.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runImport(c.Context(), &o, args[0]) },
	}
	o.flags(c)
	c.Flags().BoolVarP(&o.all, "all", "a", false, "also servers that are switched off there, and those of all projects")
	c.Flags().StringSliceVarP(&o.servers, "server", "s", nil, "these `servers` only: a,b")
	return c
}

// offer is a server that could be taken over.
type offer struct {
	translated

	name, from string
}

func runImport(ctx context.Context, o *importOptions, from string) error {
	offers, err := o.offers(from)
	if err != nil {
		return err
	}
	d, err := o.openConfig()
	if err != nil {
		return err
	}
	for _, name := range o.servers {
		if !slices.ContainsFunc(offers, func(f offer) bool { return f.name == name }) {
			return coded(idNotAServer, "there is no server %q in %s", name, from)
		}
	}
	rows, taken, err := o.takeOver(d, offers)
	if err != nil {
		return err
	}
	if bad := o.mistaken(ctx, d, taken); len(bad) > 0 { // once more, without those that would not work
		for i, f := range offers {
			if why := bad[cleanName(f.name)]; why != "" && f.skip == "" {
				offers[i].skip = why
			}
		}
		if err := d.set(d.before); err != nil {
			return err
		}
		if rows, taken, err = o.takeOver(d, offers); err != nil {
			return err
		}
	}
	table(o.redact.writer(o.env.Out), rows)
	if len(taken) == 0 {
		o.say("nothing to import")
		return nil
	}
	for _, name := range taken {
		entry, _ := d.doc.Get(d.doc.ServersKey(), name)
		o.warnOfSecrets(name, entry)
	}
	if err := o.check(ctx, d); err != nil {
		return err
	}
	return o.finish(d, fmt.Sprintf("imported %s into %s; see what they offer with plait tools list", count(len(taken), "server"), d.path))
}

// takeOver puts the servers into the draft. It returns a table of all, and the names of those that were put there.
func (o *importOptions) takeOver(d *draft, offers []offer) (rows [][]string, taken []string, err error) {
	rows = append(rows, []string{"SERVER", "ACTION", "WHY", "FROM"})
	for _, f := range offers {
		name := cleanName(f.name)
		action, why := "skip", o.reason(d, f, name)
		if why == "" {
			if err := d.put([]string{d.doc.ServersKey(), name}, f.entry); err != nil {
				return nil, nil, err
			}
			action, why = "import", strings.Join(f.notes, ", ")
			if name != f.name {
				why = strings.TrimPrefix(why+", as "+name, ", ")
			}
			taken = append(taken, name)
		}
		rows = append(rows, []string{f.name, action, why, f.from})
	}
	return rows, taken, nil
}

// mistaken says of which servers of the draft plait would not make use, and why.
func (o *importOptions) mistaken(ctx context.Context, d *draft, servers []string) map[string]string {
	bad := map[string]string{}
	cfg, _, err := o.examine(ctx, d.path, d.after)
	if err != nil || cfg == nil {
		return bad // check will say it
	}
	for _, s := range cfg.Servers {
		for _, p := range s.Problems {
			if !p.Unset && slices.Contains(servers, s.Name) {
				bad[s.Name] = p.Msg
			}
		}
	}
	return bad
}

// reason says why a server is not taken over, or nothing.
func (o *importOptions) reason(d *draft, f offer, name string) string {
	have, there := d.doc.Get(d.doc.ServersKey(), name)
	switch {
	case len(o.servers) > 0 && !slices.Contains(o.servers, f.name):
		return "is not asked for"
	case f.skip != "":
		return f.skip
	case f.entry.Get("disabled") == true && !o.all && !slices.Contains(o.servers, f.name):
		return "is switched off there (--all takes it, too)"
	case there && equal(have, f.entry):
		return "is there already"
	case there:
		return "is there already, and different"
	}
	for _, s := range fieldsOf(d.doc.Get(d.doc.ServersKey())) {
		if strings.EqualFold(config.SanitizePrefix(s.Key), config.SanitizePrefix(name)) {
			return "its tools would be called like those of " + s.Key
		}
	}
	return ""
}

// equal compares entries, whatever the order of their keys.
func equal(a, b any) bool { return reflect.DeepEqual(asMap(a), asMap(b)) }

func asMap(value any) any {
	switch v := value.(type) {
	case edit.Fields:
		m := map[string]any{}
		for _, f := range v {
			m[f.Key] = asMap(f.Value)
		}
		return m
	case []any:
		list := []any{}
		for _, item := range v {
			list = append(list, asMap(item))
		}
		return list
	}
	return value
}

// cleanName returns a name that may stand in a configuration: as it is, if it may.
func cleanName(name string) string {
	name = strings.TrimSpace(strings.ReplaceAll(harmless(name), "\n", " "))
	if name == "" {
		return "server"
	}
	return name
}
