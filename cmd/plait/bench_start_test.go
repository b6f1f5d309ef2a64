package main_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
)

// mood puts one of the servers into a mood, see benchNode.
func (r *rig) mood(server int, is string) error {
	to, err := url.Parse(r.urls[server])
	if err != nil {
		return err
	}
	to.Path, to.RawQuery = "/mood", "is="+is
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, to.String(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// learnt gives the next processes a home with snapshots of so many servers, until forget.
func (r *rig) learnt(servers, perServer int) (forget func(), err error) {
	if r.home, err = os.MkdirTemp(r.dir, "learnt"); err != nil {
		return nil, err
	}
	forget = func() { r.home = "" }
	p, err := r.start(plait, r.servers(servers, perServer))
	if err != nil {
		return forget, err
	}
	if err := hello(p); err != nil {
		return forget, err
	}
	if _, err := p.exchange(tools(1, servers*perServer)); err != nil {
		return forget, err
	}
	return forget, p.close()
}

// remembering measures from the start of the process to its answer to initialize, with snapshots of all servers.
func remembering(servers int) taker {
	return func(r *rig, via string) (sample, error) {
		if via != plait {
			return sample{}, nil
		}
		forget, err := r.learnt(servers, 10)
		if err != nil {
			return nil, err
		}
		defer forget()
		return repeat(20, initialize(servers))(r, via)
	}
}

// badDay measures from the start of the process to the first list of 20 servers of which one accepts and never
// answers, one answers 401 and one dies after the handshake: all that they had with a snapshot, and what the other
// 17 have without.
func badDay(snapshot bool) taker {
	const servers, perServer = 20, 10
	return func(r *rig, via string) (sample, error) {
		if via != plait {
			return sample{}, nil // nobody else remembers
		}
		want := (servers - 3) * perServer
		if snapshot {
			want = servers * perServer
			forget, err := r.learnt(servers, perServer)
			if err != nil {
				return nil, err
			}
			defer forget()
		}
		moods := []string{"hangs", "401", "dies"}
		for i, mood := range moods {
			if err := r.mood(i, mood); err != nil {
				return nil, err
			}
		}
		s, err := firstList(r, servers, perServer, want)
		for i := range moods {
			err = errors.Join(err, r.mood(i, ""))
		}
		return s, err
	}
}

// firstList measures from the start of the process to a list of want tools.
func firstList(r *rig, servers, perServer, want int) (sample, error) {
	p, err := r.start(plait, r.servers(servers, perServer))
	if err != nil {
		return nil, err
	}
	m := &meter{pid: p.pid(), start: p.started}
	if err := hello(p); err != nil {
		return nil, err
	}
	if _, err := p.exchange(tools(1, want)); err != nil {
		return nil, fmt.Errorf("first list: %w", err)
	}
	s := m.read(1)
	return sample{wall: s[wall]}, p.close()
}
