package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// patience is how long a command waits for servers that still connect when it needs all of them. A client
// that serves a person may show late servers later; here the first list is the last.
const patience = 10 * time.Second

// queryOptions are those of every command that asks the servers something.
type queryOptions struct {
	servers []string
	timeout time.Duration
	json    bool
}

func (o *queryOptions) flags(a *app, c *cobra.Command) {
	a.configFlag(c)
	a.logFlags(c)
	c.Flags().StringSliceVarP(&o.servers, "server", "s", nil, "use these `servers` of the configuration only: a,b")
	c.Flags().DurationVar(&o.timeout, "timeout", 0, "give up after this time, such as 30s (default: the timeouts of the configuration)")
	c.Flags().BoolVar(&o.json, "json", false, "print the result as the servers gave it, byte for byte")
}

// query is one session of a client in this process with the configured servers.
type query struct {
	*client

	app     *app
	gateway *gateway
	status  func() []upstream.Status // of the servers
	json    bool
}

// connect opens the session. The caller calls close.
func (q *query) connect(ctx context.Context, g *gateway, onProgress func(jsonrpc.Raw)) error {
	var err error
	q.client, err = connect(ctx, func(out jsonrpc.Sender) jsonrpc.Handler { //nolint:contextcheck // sessions live in the context of the Aggregator
		s := g.Open(out)
		q.status = s.Status
		return s
	}, onProgress)
	return err
}

// query runs ask in a session with the configured servers that need selects, nil for all.
func (a *app) query(ctx context.Context, o queryOptions, need selection, ask func(context.Context, *query) error) error {
	cfg, err := a.load(ctx, a.configFile)
	if err != nil {
		return err
	}
	if len(o.servers) > 0 {
		if need, err = named(cfg, o.servers); err != nil {
			return err
		}
	}
	a.alone = true // who calls a command once is told what to do, and does it
	g, err := a.open(ctx, narrow(cfg, need), a.logging(config.Log{Level: "error", Format: cfg.Log.Format}), "")
	if err != nil {
		return err
	}
	defer g.shut()
	if o.timeout > 0 {
		late := &exitError{exitTimeout, fmt.Errorf("no answer within %s (--timeout)", o.timeout)}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, late)
		defer cancel()
	}
	q := &query{app: a, gateway: g, json: o.json}
	if err := q.connect(ctx, g, a.progress()); err != nil {
		return err
	}
	defer q.close()
	return ask(ctx, q)
}

// list asks for a list and returns its items and the whole result.
func (q *query) list(ctx context.Context, l protocol.List) (items []jsonrpc.Raw, result jsonrpc.Raw, err error) {
	result, err = q.call(ctx, l.Method(), nil)
	if err != nil {
		return nil, nil, q.explain(err)
	}
	member, _ := jsonrpc.Get(result, l.Member())
	return slices.Collect(jsonrpc.Elements(member)), result, nil
}

// showList prints a list as a table, or raw, and says which servers are missing in it.
func (q *query) showList(ctx context.Context, l protocol.List, columns []column) error {
	items, result, err := q.list(ctx, l)
	if err != nil {
		return err
	}
	if q.json {
		q.app.raw(result)
	} else if len(items) > 0 {
		q.app.table(items, columns)
	}
	return q.missing()
}

// missing returns an error that names the servers which are needed and not there, nil when all are.
func (q *query) missing() error {
	exit := &exitError{code: exitUsage} // all that is missing is misconfigured
	signIn := true                      // or, if it is not, nothing but a person is missing
	var all joined
	for _, s := range q.status() {
		there := s.State == upstream.Ready || s.State == upstream.Idle
		if there && s.Unread == nil || isNotNeeded(s.Err) {
			continue
		}
		if s.State != upstream.Misconfigured {
			exit.code = exitUnreachable
		}
		signIn = signIn && s.State == upstream.SignIn
		all = append(all, absent(s))
	}
	if all == nil {
		return nil
	}
	if signIn {
		exit.code = exitSignIn
	}
	exit.err = all
	return exit
}

// absent says why a server is not there and what to do. Unlike the server's own error it promises no retry.
func absent(s upstream.Status) error {
	switch {
	case s.State == upstream.Misconfigured:
		return fmt.Errorf("server %q is misconfigured: %w; %s", s.Server, s.Err, s.Next)
	case s.State == upstream.SignIn:
		return fmt.Errorf("%w [%s]", s.Err, s.ID) // it says what to do
	case s.Unread != nil:
		return fmt.Errorf("server %q: %w; see what it says with plait doctor %s", s.Server, s.Unread, s.Server)
	case s.Err == nil:
		return fmt.Errorf("server %q has not answered yet; wait longer with --server %s", s.Server, s.Server)
	}
	return fmt.Errorf("server %q cannot be reached: %w; %s", s.Server, s.Err, s.Next)
}

// joined is several errors, one after the other.
type joined []error

// Error implements error.
func (es joined) Error() string {
	texts := make([]string, len(es))
	for i, e := range es {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "\nplait: ")
}

// Unwrap returns the errors.
func (es joined) Unwrap() []error { return es }

// find returns the item of a list with that name. When there is none, the error says whether its server may
// be missing, or which names are like it.
func (q *query) find(ctx context.Context, l protocol.List, noun, name string) (jsonrpc.Raw, error) {
	items, _, err := q.list(ctx, l)
	if err != nil {
		return nil, err
	}
	key := nameMember(l)
	var names []string
	for _, item := range items {
		have, _ := jsonrpc.GetString(item, key)
		if have == name {
			return item, nil
		}
		names = append(names, have)
	}
	if err := q.missing(); err != nil {
		return nil, &exitError{exitCode(err), joined{fmt.Errorf("there is no %s %q now", noun, name), err}}
	}
	return nil, usagef("there is no %s %q%s", noun, name, didYouMean(name, names))
}

// nameMember returns the member that an item of a list is known by.
func nameMember(l protocol.List) string {
	switch l {
	case protocol.Resources:
		return "uri"
	case protocol.Templates:
		return "uriTemplate"
	default:
		return "name"
	}
}

// codeNoResource is the error of resources/read in the versions before 2025-11-25, and of many servers since.
const codeNoResource = -32002

// explain gives an error of the other side its exit code.
func (q *query) explain(err error) error {
	var e *jsonrpc.Error
	if !errors.As(err, &e) {
		return err
	}
	state, _ := jsonrpc.GetString(e.Data, "state")
	switch {
	case e.Code == jsonrpc.CodeInvalidParams || e.Code == codeNoResource:
		return &exitError{exitUsage, err}
	case state == upstream.SignIn.String():
		return &exitError{exitSignIn, err}
	case e.Code == jsonrpc.CodeInternal && state == "timeout":
		return &exitError{exitTimeout, err}
	case e.Code == jsonrpc.CodeInternal && state != "" && state != upstream.Ready.String() && state != "too_large":
		return &exitError{exitUnreachable, err}
	}
	return err
}
