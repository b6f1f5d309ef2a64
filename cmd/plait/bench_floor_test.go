package main_test

import "testing"

// TestFloor lets what the benchmarks compare with do all that is asked of it, in small numbers.
func TestFloor(t *testing.T) {
	r := newRig(t, false)
	for _, m := range []measure{
		{"echo", echo(8, 50)},
		{"JSON result", result(1e6, "false", 1)},
		{"SSE result", result(1e6, "true", 1)},
		{"progress", progress(100)},
		{"initialize", repeat(2, initialize(2))},
		{"list of one server", list(1, 5)},
		{"list of three servers", list(3, 5)},
	} {
		for _, via := range []string{direct, floor} {
			s, err := m.take(r, via)
			r.reap()
			if err != nil {
				t.Errorf("%s via %s: %v", m.name, via, err)
			}
			if s[lost]+s[misplaced]+s[late] > 0 {
				t.Errorf("%s via %s: lost %v, misplaced %v, late %v, want none", m.name, via, s[lost], s[misplaced], s[late])
			}
		}
	}
}
