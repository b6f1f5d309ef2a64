package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config/edit"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/config"
)

type linkOptions struct {
	editing

	name  string
	scope string
	force bool
}

func newLink(a *app) *cobra.Command {
	o := linkOptions{editing: editing{app: a}}
	c := &cobra.Command{
		Use: "link CLIENT", Short: "Write the one entry for plait into the file of an MCP client",
		Long: `Write the one entry for plait into the file of an MCP client. Comments, order and everything else stay as they are, and
what the file was before is kept beside it, as FILE.plait-backup-1. plait unlink takes the entry back.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runLink(&o, args[0]) },
	}
	o.flags(c)
	o.linkFlags(c)
	c.Flags().BoolVar(&o.force, "force", false, "replace an entry of that name that is not plait's")
	return c
}

func (o *linkOptions) linkFlags(c *cobra.Command) {
	c.Flags().StringVar(&o.name, "name", "plait", "the `name` of the entry")
	c.Flags().StringVar(&o.scope, "scope", "user", "whose `file`: user, or project for the one in the current folder")
}

// target is the file of a client and the keys of plait's entry in it.
type target struct {
	*draft

	client mcpClient
	keys   []string
}

// entry returns what stands under the keys now.
func (t *target) entry() (edit.Fields, bool) {
	have, there := t.doc.Get(t.keys...)
	fields, _ := have.(edit.Fields)
	return fields, there
}

// target returns that of the flags.
func (o *linkOptions) target(name string) (*target, error) {
	client, err := findClient(name)
	if err != nil {
		return nil, err
	}
	p, err := o.places()
	if err != nil {
		return nil, err
	}
	path := client.user(p)
	switch {
	case o.scope == "project" && client.local == "":
		return nil, coded(idNoClient, "%s has no file for a project; leave --scope out", client.title)
	case o.scope == "project":
		path = filepath.Join(p.folder, filepath.FromSlash(client.local))
	case o.scope != "user":
		return nil, usagef("--scope is user or project, not %q", o.scope)
	}
	d, err := open(path)
	if err != nil {
		return nil, err
	}
	o.learnSecrets(d.doc)
	return &target{d, client, append(slices.Clone(client.keys), o.name)}, nil
}

func runLink(o *linkOptions, name string) error {
	t, err := o.target(name)
	if err != nil {
		return err
	}
	entry, err := o.entry(t.client)
	if err != nil {
		return err
	}
	have, there := t.entry()
	switch {
	case there && equal(have, entry):
		o.say("%s is linked already, in %s", t.client.title, t.path)
		return nil
	case there && !o.isPlait(have) && !o.force:
		return coded(idNotOurs, "%s: %q is there already and does not start plait; choose another name with --name, or replace it with --force",
			t.doc.Pos(t.keys...), o.name)
	case there:
		text, err := t.doc.Remove(t.keys)
		if err != nil {
			return err
		}
		if err := t.set(text); err != nil {
			return err
		}
	}
	if err := t.put(t.keys, entry); err != nil {
		return err
	}
	done := fmt.Sprintf("linked plait into %s, as %q in %s", t.client.title, o.name, t.path)
	if t.before != nil && !o.dryRun {
		backup, err := writeBackup(t.path, t.before)
		if err != nil {
			return err
		}
		done += "; what it was before is in " + backup
	}
	return o.finish(t.draft, done+"\nnext: "+t.client.next)
}

// entry returns what the client starts: this plait with the configuration of today.
func (o *linkOptions) entry(client mcpClient) (edit.Fields, error) {
	path := o.configFile
	if path == "" {
		found, err := config.Find(o.env.LookupEnv)
		if err != nil {
			return nil, usagef("%w", err)
		}
		path = found
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if _, there, err := edit.ReadFile(path); err != nil || !there {
		return nil, usagef("%s cannot be read; name a configuration file with --config FILE, or make one with plait add or plait import", path)
	}
	command, err := o.command()
	if err != nil {
		return nil, err
	}
	return client.entry(command, []any{"serve", "--config", path}), nil
}

// command returns the path of this program: the one on the search path when it is the same, because that one stays
// where it is when a new version comes.
func (o *linkOptions) command() (string, error) {
	own, err := o.env.Executable()
	if err != nil {
		return "", err
	}
	if strings.Contains(own, "go-build") {
		return "", usagef("this plait is gone after go run; install it first: go install ./cmd/plait")
	}
	found, err := exec.LookPath("plait")
	if err != nil || !filepath.IsAbs(found) {
		return own, nil //nolint:nilerr // plait need not be on the search path
	}
	ours, err := os.Stat(own)
	theirs, statErr := os.Stat(found)
	if err == nil && statErr == nil && os.SameFile(ours, theirs) {
		return found, nil
	}
	return own, nil
}

// backupName returns the name of a backup beside a file.
func backupName(path string, n int) string { return fmt.Sprintf("%s.plait-backup-%d", path, n) }

// writeBackup writes what a file was before beside it, for its owner only, and returns where.
func writeBackup(path string, data []byte) (string, error) {
	for n := 1; ; n++ {
		name := backupName(path, n)
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("keep a backup: %w", err)
		}
		_, err = f.Write(data)
		return name, errors.Join(err, f.Close())
	}
}

func newUnlink(a *app) *cobra.Command {
	o := linkOptions{editing: editing{app: a}}
	c := &cobra.Command{
		Use: "unlink CLIENT", Short: "Take the entry for plait out of the file of an MCP client",
		Long: `Take the entry for plait out of the file of an MCP client. When nothing else changed since plait link, the file is what it was
before, byte for byte.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runUnlink(&o, args[0]) },
	}
	o.dryFlag(c)
	o.linkFlags(c)
	return c
}

func runUnlink(o *linkOptions, name string) error {
	t, err := o.target(name)
	if err != nil {
		return err
	}
	have, there := t.entry()
	switch {
	case !there:
		return coded(idNotOurs, "%s has no entry %q in %s; name another with --name", t.client.title, o.name, t.path)
	case !o.isPlait(have):
		return coded(idNotOurs, "%s: %q does not start plait; take it out by hand", t.doc.Pos(t.keys...), o.name)
	}
	next := fmt.Sprintf("next: start %s again if it still shows plait", t.client.title)
	backup, before := t.linkedFrom(have)
	if backup == "" && t.isMade(have, nil) && !o.dryRun {
		o.say("took %q out of %s, which held nothing else and is gone\n%s", o.name, t.path, next)
		return os.Remove(t.path)
	}
	if backup == "" {
		if before, err = t.doc.Remove(t.keys); err != nil {
			return err
		}
	}
	if err := t.set(before); err != nil {
		return err
	}
	if err := o.finish(t.draft, fmt.Sprintf("took %q out of %s\n%s", o.name, t.path, next)); err != nil || backup == "" || o.dryRun {
		return err
	}
	return os.Remove(backup)
}

// linkedFrom returns the newest backup of the file that link made the present text of, and its content; nothing when
// the file was changed since.
func (t *target) linkedFrom(entry edit.Fields) (string, []byte) {
	backup, content := "", []byte(nil)
	for n := 1; ; n++ {
		data, there, err := edit.ReadFile(backupName(t.path, n))
		if err != nil || !there {
			return backup, content
		}
		if t.isMade(entry, data) {
			backup, content = backupName(t.path, n), data
		}
	}
}

// isMade tells whether link makes the present text of another one.
func (t *target) isMade(entry edit.Fields, from []byte) bool {
	old := &draft{path: t.path}
	return old.set(from) == nil && old.put(t.keys, entry) == nil && bytes.Equal(old.after, t.before)
}
