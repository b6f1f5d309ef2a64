package aggregator

import (
	"slices"
	"time"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// Status is the condition of an Aggregator at one moment.
type Status struct {
	Generation int       // counts the configurations from 1
	Since      time.Time // when it took effect
	// Clients are those that said who they are, in the order in which they came. While there is none, one without a name stands
	// for those to come.
	Clients []ClientStatus
}

// ClientStatus is what one client has.
type ClientStatus struct {
	Name    string    // as it calls itself
	Version string    // the protocol version negotiated with it
	Profile string    // that it has chosen, "" for that of the configuration
	Since   time.Time // it came; zero for one that stands for those to come
	Servers []ServerStatus
}

// ServerStatus is the condition of one server for one client.
type ServerStatus struct {
	upstream.Status

	Prefix   string // what the names of its tools begin with, separator included
	Tools    int    // tools that the client is shown
	ToolsAll int    // tools that the server listed
	Snapshot bool   // some of its lists are from the disk, the server has not confirmed them
}

// Status returns the condition of all that is served. It blocks for no server.
func (a *Aggregator) Status() Status {
	g := a.now.Load().generation
	status := Status{Generation: g.number, Since: g.since}
	for _, s := range a.clients() {
		if hello := s.hello.Load(); hello != nil {
			status.Clients = append(status.Clients, s.status(hello))
		}
	}
	if len(status.Clients) == 0 {
		status.Clients = []ClientStatus{{Servers: a.configured(g)}}
	}
	return status
}

// configured returns the servers as they are for a client that has not begun to work.
func (a *Aggregator) configured(g *generation) []ServerStatus {
	var servers []ServerStatus
	for _, server := range a.servers.Status(g.cfg.Servers) {
		servers = append(servers, ServerStatus{Status: server, Prefix: g.namer.Prefix(server.Server)})
	}
	return servers
}

// Status returns the condition of the session with each server, in the order of the configuration.
func (s *Session) Status() []upstream.Status {
	var all []upstream.Status
	for _, server := range s.now.Load().servers {
		all = append(all, server.Status())
	}
	return all
}

func (s *Session) status(hello *upstream.Hello) ClientStatus {
	v, c := s.now.Load(), ClientStatus{Version: hello.Version, Profile: s.visitor.Profile, Since: s.since}
	c.Name, _ = jsonrpc.GetString(hello.Params, "clientInfo", "name")
	if !v.begun() {
		c.Servers = s.agg.configured(v.generation)
		return c
	}
	for _, server := range v.servers {
		status := ServerStatus{Status: server.Status(), Prefix: v.namer.Prefix(server.Name())}
		status.Tools, status.ToolsAll = v.catalog().Count(server.Name(), catalog.Tools)
		for l := range protocol.Lists {
			status.Snapshot = status.Snapshot || server.List(l).Snapshot
		}
		c.Servers = append(c.Servers, status)
	}
	return c
}

// Stats counts what was done since the start.
type Stats struct {
	Generation int // of the configuration
	Clients    int // now
	Servers    []upstream.Stats
}

// Stats returns the counters. It blocks for no server.
func (a *Aggregator) Stats() Stats {
	return Stats{Generation: a.now.Load().number, Clients: len(a.clients()), Servers: a.servers.Stats()}
}

// Retry has every server tried now that waits for its next attempt, or would not be tried again. It waits for
// nothing.
func (a *Aggregator) Retry() {
	servers := a.required.all()
	for _, s := range a.clients() {
		servers = append(slices.Clip(servers), s.now.Load().servers...)
	}
	for _, server := range servers {
		switch server.Status().State {
		case upstream.Waiting, upstream.Parked, upstream.SignIn:
			server.Retry()
		default:
		}
	}
}
