package main_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkEndToEnd measures the same calls directly, through the floor and through plait, and
// prints a table of all rounds at the end. A count is a round: -count=6 lets the ways take turns
// six times, so that the drift of the machine hits all alike. The iterations are not what was
// measured; -benchtime=1x keeps them at one.
func BenchmarkEndToEnd(b *testing.B) {
	r := newRig(b, true)
	board := board{}
	for _, m := range measures() {
		b.Run(m.name, func(b *testing.B) {
			for _, via := range []string{direct, floor, plait} {
				round := -1
				b.Run("via="+via, func(b *testing.B) {
					if b.N == 1 {
						round++
					}
					b.StopTimer()
					board.report(b, board.round(b, r, m, round), via)
				})
			}
		})
	}
	board.print(os.Stdout)
}

// board holds what was measured: the rounds of a measure, by its name, each with a sample a way.
type board map[string][]map[string]sample

// round returns the i-th round of m, which is measured when it is first asked for.
func (d board) round(b *testing.B, r *rig, m measure, i int) map[string]sample {
	b.Helper()
	for len(d[m.name]) <= i {
		ways := []string{direct, floor, plait}
		if len(d[m.name])%2 == 1 {
			slices.Reverse(ways)
		}
		round := map[string]sample{}
		for _, via := range ways {
			s, err := m.take(r, via)
			r.reap()
			if err != nil {
				b.Errorf("%s via %s: %v", m.name, via, err)
			}
			round[via] = s
		}
		d[m.name] = append(d[m.name], round)
	}
	return d[m.name][i]
}

// report shows one way of a round as the result of b, plait with its ratios to the floor.
func (board) report(b *testing.B, round map[string]sample, via string) {
	b.Helper()
	if len(round[via]) == 0 {
		b.SkipNow()
	}
	b.ReportMetric(0, wall) // not of this function
	for unit, x := range round[via] {
		b.ReportMetric(x, unit)
		if base := round[floor][unit]; via == plait && base > 0 {
			kind, _, _ := strings.Cut(strings.Replace(unit, wall, "time", 1), "-")
			b.ReportMetric(x/base, kind+"-ratio")
		}
	}
}

// row is a line of the table; the aim is a ratio to the floor or a limit, 0 if there is none.
type row struct {
	label, measure, unit string
	ratio, limit         float64
}

func rows() []row {
	const (
		ms, mib = 1e6, 1 << 20
		none    = 0.1 // a count below this is none
	)
	return []row{
		{"1 KiB echo, one at a time: p50", "echo=1KiB/inflight=1", p50, 1.25, 0},
		{"… processor time a call", "echo=1KiB/inflight=1", processor, 1.25, 0},
		{"1 KiB echo, 64 in flight: time a call", "echo=1KiB/inflight=64", wall, 0, 0},
		{"… processor time a call", "echo=1KiB/inflight=64", processor, 1.25, 0},
		{"… memory after it", "echo=1KiB/inflight=64", rss, 0, 24 * mib},
		{"1 MB result, JSON: time", "result=1MB/answer=json", wall, 0, 0},
		{"… processor time", "result=1MB/answer=json", processor, 0, 0},
		{"1 MB result, SSE: time", "result=1MB/answer=sse", wall, 0, 0},
		{"… processor time", "result=1MB/answer=sse", processor, 0, 0},
		{"10 MB result, JSON: time", "result=10MB/answer=json", wall, 0, 0},
		{"… processor time", "result=10MB/answer=json", processor, 1.5, 0},
		{"… extra memory", "result=10MB/answer=json", extra, 0, 25e6},
		{"10 MB result, SSE: time", "result=10MB/answer=sse", wall, 0, 0},
		{"… processor time", "result=10MB/answer=sse", processor, 1.5, 0},
		{"… extra memory", "result=10MB/answer=sse", extra, 0, 25e6},
		{"10,000 progress notifications: time each", "progress=10000", wall, 0, 0},
		{"… processor time each", "progress=10000", processor, 2, 0},
		{"… lost", "progress=10000", lost, 0, none},
		{"… out of order", "progress=10000", misplaced, 0, none},
		{"… after the answer", "progress=10000", late, 0, none},
		{"spawn to initialize, 1 server", "initialize/servers=1", wall, 0, 10 * ms},
		{"spawn to initialize, 100 servers", "initialize/servers=100", wall, 0, 10 * ms},
		{"start to first list, 1 server × 10 tools", "list/servers=1", wall, 0, 0},
		{"start to first list, 20 servers × 100 tools", "list/servers=20", wall, 0, 0},
		{"… listed again", "list/servers=20", again, 1.5, 0},
		{"… memory", "list/servers=20", rss, 0, 0},
		{"start to first list, 100 servers × 10 tools", "list/servers=100", wall, 1.5, 0},
		{"… memory", "list/servers=100", rss, 0, 32 * mib},
		{"idle with one server: memory", "idle", rss, 0, 16 * mib},
		{"99 servers and a dead one: first list", "list/servers=99+dead", wall, 0, 3300 * ms},
		{"… a call to another meanwhile", "list/servers=99+dead", during, 0, 500 * ms},
		{"… calls to another afterwards: p50", "list/servers=99+dead", p50, 0, 0},
		{"spawn to initialize, 100 servers, with snapshots", "initialize/servers=100/snapshot=yes", wall, 0, 10 * ms},
		{"20 servers, 3 of them bad: first list", "list/servers=17+bad=3/snapshot=no", wall, 0, 3300 * ms},
		{"… with snapshots", "list/servers=17+bad=3/snapshot=yes", wall, 0, 100 * ms},
		{"20 servers: file saved to list_changed", "relabel/servers=20", wall, 0, 500 * ms},
	}
}

// print writes the table of the medians, ready for the README.
func (d board) print(w *os.File) {
	rounds := 0
	for _, m := range d {
		rounds = max(rounds, len(m))
	}
	fmt.Fprintf(w, "\n%s, %s, %d × %s, %s/%s, %s; medians of %d rounds.\n\n", time.Now().Format(time.DateOnly),
		runtime.Version(), runtime.NumCPU(), machine(), runtime.GOOS, runtime.GOARCH, "loopback", rounds)
	fmt.Fprint(w, "| measure | direct | floor | plait | plait / floor | aim |\n|---|--:|--:|--:|--:|--:|\n")
	for _, r := range rows() {
		if len(d[r.measure]) == 0 {
			continue // not selected by -bench
		}
		value := func(via string) (float64, bool) {
			return d.median(r.measure, func(round map[string]sample) (float64, bool) {
				x, ok := round[via][r.unit]
				return x, ok
			})
		}
		ratio, hasRatio := d.median(r.measure, func(round map[string]sample) (float64, bool) {
			base := round[floor][r.unit]
			return round[plait][r.unit] / max(base, 1e-9), base > 0
		})
		x, measured := value(plait)
		cells := []string{r.label}
		for _, via := range []string{direct, floor, plait} {
			x, ok := value(via)
			cells = append(cells, format(x, r.unit, ok))
		}
		hasRatio = hasRatio && r.unit != extra // next to nothing in the floor
		cells = append(cells, format(ratio, "ratio", hasRatio))
		switch {
		case r.ratio > 0:
			cells = append(cells, "≤ "+format(r.ratio, "ratio", true)+verdict(hasRatio, ratio <= r.ratio))
		case r.limit > 0:
			cells = append(cells, "≤ "+format(r.limit, r.unit, true)+verdict(measured, x <= r.limit))
		default:
			cells = append(cells, "–")
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	fmt.Fprintln(w)
}

// median returns the median over the rounds of a measure for which of knows a value.
func (d board) median(name string, of func(map[string]sample) (float64, bool)) (float64, bool) {
	var all []float64
	for _, round := range d[name] {
		if x, ok := of(round); ok {
			all = append(all, x)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	return median(all), true
}

func verdict(measured, met bool) string {
	if measured && !met {
		return " (missed)"
	}
	return ""
}

// format writes a value for a person.
func format(x float64, unit string, ok bool) string {
	switch {
	case !ok:
		return "–"
	case unit == "ratio":
		return fmt.Sprintf("%.2f", x)
	case strings.HasSuffix(unit, "-B"):
		return fmt.Sprintf("%.1f MiB", x/(1<<20))
	case !strings.HasSuffix(unit, "ns/op"):
		return fmt.Sprintf("%.0f", x)
	case x >= 100e6:
		return fmt.Sprintf("%.2f s", x/1e9)
	case x >= 1e6:
		return fmt.Sprintf("%.1f ms", x/1e6)
	default:
		return fmt.Sprintf("%.1f µs", x/1e3)
	}
}
