// Package flowtest drives the browser of a person in tests: headless Chromium, by its own protocol.
package flowtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// hung bounds what would otherwise wait for ever.
const hung = time.Minute

// Browser is one tab of a browser with an empty profile. One goroutine may use it.
type Browser struct {
	tb  testing.TB
	ctx func() context.Context

	mu       sync.Mutex
	problems []string
	ignored  []string // origins
}

// names of Chromium, in PATH.
func names() []string {
	return []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}
}

// path returns where Chromium is: $PLAIT_TEST_CHROMIUM, else by its names.
func path(tb testing.TB) string {
	tb.Helper()
	if p := os.Getenv("PLAIT_TEST_CHROMIUM"); p != "" {
		return p
	}
	for _, name := range names() {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	const want = "needs Chromium: install the package chromium, or set PLAIT_TEST_CHROMIUM to its path"
	if os.Getenv("PLAIT_TEST_REQUIRE") == "all" {
		tb.Fatal(want)
	}
	tb.Skip(want)
	return ""
}

// Start starts a browser that ends with the test, to which hosts are names of this machine. The test fails when a page that
// it shows has an error of a script, or breaks its Content-Security-Policy.
func Start(tb testing.TB, hosts ...string) *Browser {
	tb.Helper()
	if testing.Short() {
		tb.Skip("starts a browser")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path(tb)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(tb.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("no-proxy-server", true), chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(hung),
	)
	if len(hosts) > 0 {
		options = append(options, chromedp.Flag("host-resolver-rules", "MAP "+strings.Join(hosts, " 127.0.0.1, MAP ")+" 127.0.0.1"))
	}
	ctx, cancel := chromedp.NewExecAllocator(context.WithoutCancel(tb.Context()), options...)
	ctx, cancelTab := chromedp.NewContext(ctx)
	b := &Browser{tb: tb, ctx: func() context.Context { return ctx }}
	tb.Cleanup(func() {
		cancelTab()
		cancel()
		for _, p := range b.Problems() {
			tb.Errorf("in the browser: %s", p)
		}
	})
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		tb.Fatalf("start the browser: %v", err)
	}
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	return b
}

// listen takes down what goes wrong on a page.
func (b *Browser) listen(event any) {
	var text, at string
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Source == log.EntrySourceSecurity {
			text, at = fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, address(e.Entry.URL)), e.Entry.URL
		}
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			text = "console." + string(e.Type)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	theirs := slices.ContainsFunc(b.ignored, func(origin string) bool { return strings.HasPrefix(at, origin) })
	if text != "" && !theirs {
		b.problems = append(b.problems, text)
	}
}

// Ignore leaves out what goes wrong on the pages of an origin: they are not ours.
func (b *Browser) Ignore(origin string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ignored = append(b.ignored, origin)
}

// Problems returns what went wrong on the pages since the last call.
func (b *Browser) Problems() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.problems
	b.problems = nil
	return all
}

// run runs an action, which has a minute.
func run[T any](b *Browser, action chromedp.Action[T]) T {
	b.tb.Helper()
	ctx, cancel := context.WithTimeout(b.ctx(), hung)
	defer cancel()
	got, err := chromedp.Run(ctx, action)
	if err != nil {
		b.tb.Fatalf("in the browser, at %s: %v", address(b.Location()), err)
	}
	return got
}

// call runs a command of the protocol.
func call[P, R any](b *Browser, command cdp.Command[P, R], params P) R {
	b.tb.Helper()
	return run(b, func(ctx context.Context, t *chromedp.Target) (R, error) { return cdp.Call(ctx, t, command, params) })
}

// Go goes to a page and waits until it is loaded.
func (b *Browser) Go(to string) {
	b.tb.Helper()
	run(b, chromedp.Navigate(to))
}

// Click waits for an element, by a CSS selector, and clicks it.
func (b *Browser) Click(selector string) {
	b.tb.Helper()
	run(b, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Type types text into a field, by a CSS selector.
func (b *Browser) Type(selector, text string) {
	b.tb.Helper()
	run(b, chromedp.SendKeys(chromedp.CSS(selector), text, chromedp.NodeVisible))
}

// AwaitTitle waits until the page has a heading that contains text.
func (b *Browser) AwaitTitle(text string) {
	b.tb.Helper()
	b.Await(fmt.Sprintf("document.querySelector('h1')?.textContent.includes(%q)", text))
}

// Await waits until an expression of JavaScript is true. It may be asked of several pages until then.
func (b *Browser) Await(expression string) {
	b.tb.Helper()
	ctx, cancel := context.WithTimeout(b.ctx(), hung)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		// an error is a page that goes away at this moment
		if is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")")); err == nil && is {
			return
		}
		select {
		case <-ctx.Done():
			b.tb.Fatalf("in the browser, at %s: %s has not become true in:\n%s", address(b.Location()), expression, b.Text())
		case <-tick.C:
		}
	}
}

// Text returns what a person reads on the page.
func (b *Browser) Text() string {
	b.tb.Helper()
	return run(b, chromedp.Evaluate[string]("document.body?.innerText ?? ''"))
}

// Title returns the title of the page.
func (b *Browser) Title() string {
	b.tb.Helper()
	return run(b, chromedp.Title())
}

// Location returns the address of the page.
func (b *Browser) Location() string {
	ctx, cancel := context.WithTimeout(b.ctx(), hung)
	defer cancel()
	at, _ := chromedp.Run(ctx, chromedp.Location())
	return at
}

// address returns a URL without its query, which may hold secrets.
func address(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// Look takes pictures of the page, light and dark, narrow and wide, into the folder of the test's artifacts, and fails
// the test when its text has too little contrast in one of them (WCAG 2.2, 1.4.3) or does not fit the width (1.4.10).
func (b *Browser) Look(name string) {
	b.tb.Helper()
	dir := b.tb.ArtifactDir()
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{360, 1200} {
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
				Width: width, Height: 720, DeviceScaleFactor: 1, Mobile: width < 600,
			})
			faint := run(b, chromedp.Evaluate[[]string](contrast))
			wide := run(b, chromedp.Evaluate[bool]("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
			png := run(b, chromedp.FullScreenshot(100))
			as := fmt.Sprintf("%s-%s-%d.png", name, scheme, width)
			if len(faint) > 0 {
				b.tb.Errorf("%s: too little contrast: %s", as, strings.Join(faint, "; "))
			}
			if wide {
				b.tb.Errorf("%s: the page is wider than the screen", as)
			}
			if err := os.WriteFile(filepath.Join(dir, as), png, 0o600); err != nil {
				b.tb.Fatal(err)
			}
		}
	}
	call(b, emulation.ClearDeviceMetricsOverride, cdp.Empty{})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
}

// contrast lists the texts of a page whose contrast is below 4.5 to 1.
const contrast = `(() => {
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return {r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1}; };
  const light = ({r, g, b}) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c; } return {r: 255, g: 255, b: 255}; };
  const faint = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent.trim()).join("");
    if (!own || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(e.tagName)) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(own.slice(0, 40) + " (" + ratio.toFixed(1) + ")");
  }
  return faint;
})()`
