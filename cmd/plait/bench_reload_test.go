package main_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// relabel measures from the moment at which the file is saved with another prefix of one of the servers until the
// client hears that the list changed.
func relabel(servers, perServer, n int) taker {
	return func(r *rig, via string) (sample, error) {
		if via != plait {
			return sample{}, nil // nobody else has a file
		}
		p, err := r.start(plait, r.servers(servers, perServer))
		if err != nil {
			return nil, err
		}
		file := filepath.Join(r.dir, plait+".yaml")
		config, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := hello(p); err != nil {
			return nil, err
		}
		if _, err := p.exchange(tools(1, servers*perServer)); err != nil {
			return nil, err
		}
		var took []time.Duration
		for i := range n {
			start := time.Now()
			if err := os.WriteFile(file, fmt.Appendf(bytes.Clone(config), "    prefix: x%d\n", i), 0o600); err != nil {
				return nil, err
			}
			if err := p.hear("notifications/tools/list_changed"); err != nil {
				return nil, err
			}
			took = append(took, time.Since(start))
			list := tools(2+i, servers*perServer)
			see := list.see
			list.see = func(line []byte) error {
				if want := fmt.Appendf(nil, `"x%d_`, i); !bytes.Contains(line, want) {
					return fmt.Errorf("a list without %s", want)
				}
				return see(line)
			}
			if _, err := p.exchange(list); err != nil {
				return nil, err
			}
		}
		return sample{wall: median(took)}, p.close()
	}
}

// hear reads until a notification comes.
func (p *processPeer) hear(method string) error {
	watchdog := time.AfterFunc(hung, func() { _ = p.cmd.Process.Kill() })
	defer watchdog.Stop()
	for {
		line, err := p.readLine()
		if err != nil {
			return p.explain(err)
		}
		if bytes.Contains(line, []byte(method)) {
			return nil
		}
	}
}
