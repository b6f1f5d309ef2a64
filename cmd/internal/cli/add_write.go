package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/plait-mcp/plait/config/edit"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/config"
)

// The ids of mistakes in editing and importing.
const (
	idNameTaken  = "PLAIT-CMD-101" // a server or an entry of that name is there already
	idNoClient   = "PLAIT-CMD-103" // a client that is not known, or has no file here
	idNotOurs    = "PLAIT-CMD-104" // an entry in a client's file that plait did not write
	idPasted     = "PLAIT-CMD-105" // a pasted command line that is not understood
	idRefused    = "PLAIT-CMD-106" // the edit would make a configuration that does not work
	idNoServers  = "PLAIT-CMD-107" // a file in which no servers are found
	idNotAServer = "PLAIT-CMD-108" // a server that is not in the file
)

// coded returns a usage error with its id.
func coded(id, format string, args ...any) error {
	return usagef("%w [%s]", fmt.Errorf(format, args...), id)
}

// editing is what the commands that edit a configuration file have in common.
type editing struct {
	*app

	dryRun  bool
	secrets []*config.Server // that hold what looks like a secret in the files that were read
}

func (e *editing) flags(c *cobra.Command) {
	c.Flags().StringVarP(&e.configFile, "config", "c", "",
		"configuration `file` (default $PLAIT_CONFIG, else plait.{yaml,yml,toml,json} in the user's config folder)")
	e.dryFlag(c)
}

func (e *editing) dryFlag(c *cobra.Command) {
	c.Flags().BoolVarP(&e.dryRun, "dry-run", "n", false, "show what would change, and write nothing")
}

// draft is a file with its edits, before it is written.
type draft struct {
	path   string
	before []byte // nil when there is none
	doc    *edit.Document
	after  []byte
}

// open reads a file for edits; one that does not exist is empty.
func open(path string) (*draft, error) {
	data, there, err := edit.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if there && data == nil {
		data = []byte{}
	}
	d := &draft{path: path, before: data}
	err = d.set(data)
	return d, err
}

// set makes text the content of the draft.
func (d *draft) set(text []byte) error {
	doc, err := edit.Parse(d.path, text)
	if err != nil {
		return err
	}
	d.doc, d.after = doc, text
	return nil
}

// put adds an entry.
func (d *draft) put(keys []string, entry edit.Fields) error {
	text, err := d.doc.Put(keys, entry)
	if err != nil {
		return err
	}
	return d.set(text)
}

// openConfig reads the configuration file that the flags name, or the one that is found. One that does not exist is
// made when it is written.
func (e *editing) openConfig() (*draft, error) {
	path := e.configFile
	if path == "" {
		found, err := config.FindOrNew(e.env.LookupEnv)
		if err != nil {
			return nil, err
		}
		path = found
	}
	d, err := open(path)
	if err != nil {
		return nil, err
	}
	e.learnSecrets(d.doc)
	return d, nil
}

// check loads the draft. It refuses mistakes that were not there before; a variable that is not set is only said.
func (e *editing) check(ctx context.Context, d *draft) error {
	had := map[string]bool{}
	if d.before != nil {
		_, before, err := e.examine(ctx, d.path, d.before)
		if err != nil {
			return err
		}
		for _, p := range before {
			had[p.Path+p.Msg] = true
		}
	}
	_, after, err := e.examine(ctx, d.path, d.after)
	if err != nil {
		return err
	}
	var wrong config.Problems
	for _, p := range after {
		switch {
		case had[p.Path+p.Msg]:
		case p.Unset:
			e.say("note: %s", p.Error())
		default:
			wrong = append(wrong, p)
		}
	}
	if len(wrong) > 0 {
		e.say("plait: nothing is written: the file would have %s [%s]", count(len(wrong), "problem"), idRefused)
		return wrong
	}
	return nil
}

// examine checks a text as that of a file, with all its servers; no command is run for it and nothing is fetched. The
// configuration is nil when there is a mistake outside the servers.
func (e *editing) examine(ctx context.Context, path string, text []byte) (*config.Config, config.Problems, error) {
	cfg, err := config.Parse(ctx, path, text, config.Options{LookupEnv: e.env.LookupEnv, Offline: true, NoDefaultProfile: true})
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		return nil, problems, nil
	case err != nil:
		return nil, nil, err
	}
	problems = cfg.Problems()
	return cfg, problems, nil
}

// write makes text the draft, checks what it is as a configuration, and finishes.
func (e *editing) write(ctx context.Context, d *draft, text []byte, done string) error {
	if err := d.set(text); err != nil {
		return err
	}
	if err := e.check(ctx, d); err != nil {
		return err
	}
	return e.finish(d, done)
}

// finish writes the draft and says so, or shows the difference.
func (e *editing) finish(d *draft, done string) error {
	if e.dryRun {
		e.showDiff(d)
		return nil
	}
	if err := edit.WriteFile(d.path, d.before, d.after); err != nil {
		return err
	}
	e.say("%s", done)
	return nil
}

// showDiff prints what the draft changes, without secrets.
func (e *editing) showDiff(d *draft) {
	e.learnSecrets(d.doc)
	clean := func(text []byte) []byte { return []byte(strings.ReplaceAll(string(text), "\r\n", "\n")) }
	text := diff.Diff(d.path, clean(d.before), d.path+" (edited)", clean(d.after))
	if _, rest, ok := strings.Cut(string(text), "\n"); ok {
		_, _ = io.WriteString(e.redact.writer(e.env.Out), harmless(rest))
	}
}

// learnSecrets makes sure that what looks like a secret in a document is never shown.
func (e *editing) learnSecrets(doc *edit.Document) {
	root, _ := doc.Get()
	found := &config.Server{}
	literals(root, "", func(path, value string) {
		name := lastKey(path)
		if isSecret(name, value) {
			found.Secrets = append(found.Secrets, config.Secret(value))
		}
		if _, credentials, ok := strings.Cut(value, " "); ok && isSecretName(name) {
			found.Secrets = append(found.Secrets, config.Secret(credentials))
		}
	})
	e.secrets = append(e.secrets, found)
	e.redact.learn(&config.Config{Servers: e.secrets})
}

// literals calls visit with every text of a value, and its path.
func literals(value any, path string, visit func(path, value string)) {
	switch v := value.(type) {
	case edit.Fields:
		for _, f := range v {
			literals(f.Value, strings.TrimPrefix(path+"."+f.Key, "."), visit)
		}
	case []any:
		for _, item := range v {
			literals(item, path, visit)
		}
	case string:
		visit(path, v)
	}
}

// lastKey returns what stands after the last dot.
func lastKey(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// warnOfSecrets says which texts of an entry look like secrets. They are written as they were given: plait takes what
// it is told.
func (e *editing) warnOfSecrets(server string, entry any) {
	literals(entry, "", func(path, value string) {
		name := lastKey(path)
		if !strings.Contains(value, "${") && isSecret(name, value) {
			e.say("warning: %s.%s looks like a secret and is written as it is; better write ${NAME} there and set the variable NAME", server, path)
		}
	})
}
