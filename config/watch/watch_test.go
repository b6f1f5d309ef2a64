package watch_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/plait-mcp/plait/config/watch"
)

// hung is how long a test waits for what must come.
const hung = 30 * time.Second

// watched is a watcher in a test, with what it logs.
type watched struct {
	*watch.Watcher
	looks chan string // what the watcher said when it had looked and found nothing new, and when it cannot watch
}

// Write takes a line of the log.
func (w watched) Write(line []byte) (int, error) {
	select {
	case w.looks <- string(bytes.TrimSpace(line)):
	default:
	}
	return len(line), nil
}

func start(t *testing.T, o watch.Options) watched {
	t.Helper()
	w := watched{looks: make(chan string, 1000)}
	o.Log = hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: w, DisableTime: true})
	if o.Debounce == 0 {
		o.Debounce = 20 * time.Millisecond
	}
	if o.Interval == 0 {
		o.Interval = time.Hour // nothing but events may tell
	}
	ignored := goleak.IgnoreCurrent()
	watcher, err := watch.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.Watcher = watcher
	t.Cleanup(func() {
		if err := watcher.Close(); err != nil {
			t.Error(err)
		}
		watcher.SetFiles(nil) // does nothing, and returns
		goleak.VerifyNone(t, ignored)
	})
	return w
}

// await waits until the watcher tells of a change after which the file holds want.
func (w watched) await(t *testing.T, name, want string) {
	t.Helper()
	limit := time.After(hung)
	for {
		select {
		case <-w.C():
		case <-limit:
			t.Fatalf("no sign that %s holds %q", name, want)
		}
		if data, _ := os.ReadFile(name); string(data) == want {
			return
		}
	}
}

// settle waits until the watcher has looked and found nothing new.
func (w watched) settle(t *testing.T) {
	t.Helper()
	limit := time.After(hung)
	for {
		select {
		case <-w.C():
			t.Fatal("a sign, and nothing changed")
		case line := <-w.looks:
			if strings.Contains(line, "as they were") {
				return
			}
		case <-limit:
			t.Fatal("the watcher did not look")
		}
	}
}

// calm waits until a touch of the file brings no sign. What was written before, in two steps, may still bring one.
func (w watched) calm(t *testing.T, name string) {
	t.Helper()
	limit := time.After(hung)
	for range 4 {
		check(t, os.Chtimes(name, time.Time{}, time.Now()))
		select {
		case <-w.C():
		case <-w.looks:
			return
		case <-limit:
			t.Fatal("the watcher did not look")
		}
	}
	t.Fatal("signs, and nothing changed")
}

// replace writes a file in one step.
func replace(t *testing.T, name, content string) {
	t.Helper()
	other := filepath.Join(t.TempDir(), "new")
	check(t, os.WriteFile(other, []byte(content), 0o600), os.Rename(other, name))
}

// save writes a file in one of the ways in which programs do.
type save func(t *testing.T, name, content string)

func check(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func saves() map[string]save {
	return map[string]save{
		"in place": func(t *testing.T, name, content string) { //nolint:thelper // it is the test
			check(t, os.WriteFile(name, []byte(content), 0o600))
		},
		"in two steps": func(t *testing.T, name, content string) { //nolint:thelper // it is the test
			f, err := os.Create(name)
			check(t, err)
			_, one := f.WriteString(content[:1])
			_, two := f.WriteString(content[1:])
			check(t, one, two, f.Close())
		},
		"rename over": func(t *testing.T, name, content string) { //nolint:thelper // it is the test
			check(t, os.WriteFile(name+".tmp", []byte(content), 0o600), os.Rename(name+".tmp", name))
		},
		"rename over, from elsewhere": replace,
		"move away, write anew": func(t *testing.T, name, content string) { //nolint:thelper // it is the test
			check(t, os.Rename(name, name+"~"), os.WriteFile(name, []byte(content), 0o600))
		},
		"move away and back": func(t *testing.T, name, content string) { //nolint:thelper // it is the test
			check(t, os.Rename(name, name+"~"), os.WriteFile(name+"~", []byte(content), 0o600), os.Rename(name+"~", name))
		},
		"delete, write anew": func(t *testing.T, name, content string) { //nolint:thelper // it is the test
			check(t, os.Remove(name), os.WriteFile(name, []byte(content), 0o600))
		},
		"folder moved away, made anew": func(t *testing.T, name, content string) { //nolint:thelper // it is the test
			folder := filepath.Dir(name)
			check(t, os.Rename(folder, folder+"."+content), os.Mkdir(folder, 0o700), os.WriteFile(name, []byte(content), 0o600))
		},
		"folder deleted, made anew": func(t *testing.T, name, content string) { //nolint:thelper // it is the test
			folder := filepath.Dir(name)
			check(t, os.RemoveAll(folder), os.Mkdir(folder, 0o700), os.WriteFile(name, []byte(content), 0o600))
		},
	}
}

// TestWatchSaves saves a file in every way, again and again.
func TestWatchSaves(t *testing.T) {
	for style, write := range saves() {
		t.Run(style, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.HasPrefix(style, "folder moved") {
				t.Skip("a watched folder cannot be moved on Windows")
			}
			name := filepath.Join(t.TempDir(), "folder", "plait.yaml")
			check(t, os.Mkdir(filepath.Dir(name), 0o700), os.WriteFile(name, []byte("0"), 0o600))
			w := start(t, watch.Options{Files: []string{name}})
			for i := range 5 {
				content := fmt.Sprintf("content %d", i)
				write(t, name, content)
				w.await(t, name, content)
			}
		})
	}
}

// TestWatchAbsent watches files that come and go, in folders that do.
func TestWatchAbsent(t *testing.T) {
	root := t.TempDir()
	name := filepath.Join(root, "a", "b", "plait.yaml")
	w := start(t, watch.Options{Files: []string{name}})
	for range 3 {
		check(t, os.MkdirAll(filepath.Dir(name), 0o700))
		replace(t, name, "here")
		w.await(t, name, "here")
		check(t, os.Remove(name))
		w.await(t, name, "")
		check(t, os.Mkdir(name, 0o700)) // a folder of that name
		w.await(t, name, "")
		check(t, os.RemoveAll(filepath.Join(root, "a")))
		w.await(t, name, "")
	}
}

// TestWatchSame does what changes nothing.
func TestWatchSame(t *testing.T) {
	name := filepath.Join(t.TempDir(), "plait.yaml")
	check(t, os.WriteFile(name, []byte("same"), 0o600))
	w := start(t, watch.Options{Files: []string{name}})
	for range 3 {
		check(t, os.Chtimes(name, time.Time{}, time.Now()))
		w.settle(t)
		check(t, os.Chmod(name, 0o644), os.Chmod(name, 0o600))
		w.settle(t)
		check(t, os.WriteFile(name+".tmp", []byte("same"), 0o600), os.Rename(name+".tmp", name))
		w.settle(t)
	}
	check(t, os.WriteFile(name, []byte("other"), 0o600))
	w.await(t, name, "other")
}

// TestWatchKubernetes turns the links of a mounted ConfigMap as the kubelet does.
func TestWatchKubernetes(t *testing.T) {
	mount := t.TempDir()
	name := filepath.Join(mount, "plait.yaml")
	update := func(version int) string {
		folder, content := fmt.Sprintf("..2026_11_21_%d", version), fmt.Sprintf("version %d", version)
		old, _ := os.Readlink(filepath.Join(mount, "..data"))
		check(t, os.Mkdir(filepath.Join(mount, folder), 0o700))
		check(t, os.WriteFile(filepath.Join(mount, folder, "plait.yaml"), []byte(content), 0o600))
		if err := os.Symlink(folder, filepath.Join(mount, "..data_tmp")); err != nil {
			t.Skipf("no symbolic links: %v", err)
		}
		check(t, os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")))
		if old != "" {
			check(t, os.RemoveAll(filepath.Join(mount, old)))
		}
		return content
	}
	update(0)
	check(t, os.Symlink(filepath.Join("..data", "plait.yaml"), name))
	w := start(t, watch.Options{Files: []string{name}})
	for version := range 5 {
		w.await(t, name, update(version+1))
	}
}

// TestWatchLinks changes what is at the end of links, in the ways in which it can be changed.
func TestWatchLinks(t *testing.T) {
	root := t.TempDir()
	first, other := filepath.Join(root, "real"), filepath.Join(root, "other")
	check(t, os.Mkdir(first, 0o700), os.Mkdir(other, 0o700))
	check(t, os.WriteFile(filepath.Join(first, "f"), []byte("0"), 0o600), os.WriteFile(filepath.Join(other, "f"), []byte("other"), 0o600))
	link := filepath.Join(root, "links", "here")
	check(t, os.Mkdir(filepath.Dir(link), 0o700))
	if err := os.Symlink(first, link); err != nil {
		t.Skipf("no symbolic links: %v", err)
	}
	name := filepath.Join(link, "f")
	w := start(t, watch.Options{Files: []string{name}})
	check(t, os.WriteFile(filepath.Join(first, "f"), []byte("1"), 0o600))
	w.await(t, name, "1")
	check(t, os.Remove(link), os.Symlink(filepath.Join("..", "other"), link))
	w.await(t, name, "other")
	check(t, os.WriteFile(filepath.Join(other, "f"), []byte("2"), 0o600))
	w.await(t, name, "2")
	check(t, os.Remove(link), os.Symlink("here", link)) // to itself
	w.await(t, name, "")
	check(t, os.Remove(link), os.Symlink("nowhere", link))
	check(t, os.MkdirAll(filepath.Join(root, "links", "nowhere"), 0o700), os.WriteFile(name, []byte("3"), 0o600))
	w.await(t, name, "3")
}

// TestWatchMany saves 50 times in a second: it ends in one sign for the last content, and none before the files are
// quiet or have been unquiet for long.
func TestWatchMany(t *testing.T) {
	name := filepath.Join(t.TempDir(), "plait.yaml")
	check(t, os.WriteFile(name, []byte("before"), 0o600))
	w := start(t, watch.Options{Files: []string{name}, Debounce: time.Second})
	begin := time.Now()
	tick := time.NewTicker(time.Second / 50)
	defer tick.Stop()
	last := ""
	for i := range 50 {
		last = fmt.Sprintf("content %d", i)
		check(t, os.WriteFile(name, []byte(last), 0o600))
		<-tick.C
	}
	w.await(t, name, last)
	if took := time.Since(begin); took < 2*time.Second-50*time.Millisecond {
		t.Errorf("the sign came %v after the first save, before a quiet second", took)
	}
	w.calm(t, name)
}

// TestWatchConstant writes all the time: that does not keep the watcher silent for ever.
func TestWatchConstant(t *testing.T) {
	name := filepath.Join(t.TempDir(), "plait.yaml")
	check(t, os.WriteFile(name, []byte("before"), 0o600))
	w := start(t, watch.Options{Files: []string{name}})
	limit := time.After(hung)
	for i := 0; ; i++ {
		check(t, os.WriteFile(name, fmt.Appendf(nil, "content %d", i), 0o600))
		select {
		case <-w.C():
			return
		case <-limit:
			t.Fatal("no sign while the file is written to")
		case <-time.After(time.Millisecond):
		}
	}
}

// TestWatchPoll has more folders than are watched, so that some files are looked at now and then.
func TestWatchPoll(t *testing.T) {
	root := t.TempDir()
	var files []string
	for i := range 70 {
		name := filepath.Join(root, strconv.Itoa(i), "plait.yaml")
		check(t, os.Mkdir(filepath.Dir(name), 0o700), os.WriteFile(name, []byte("0"), 0o600))
		files = append(files, name)
	}
	w := start(t, watch.Options{Files: files, Interval: 20 * time.Millisecond})
	for _, name := range files {
		check(t, os.WriteFile(name, []byte("changed"), 0o600))
		w.await(t, name, "changed")
	}
	warnings := 0
	for len(w.looks) > 0 {
		if strings.Contains(<-w.looks, "cannot be watched") {
			warnings++
		}
	}
	if warnings != 1 {
		t.Errorf("%d warnings that a folder cannot be watched, want 1", warnings)
	}
}

// TestWatchSetFiles changes which files are watched, as a reload does.
func TestWatchSetFiles(t *testing.T) {
	root := t.TempDir()
	one, two := filepath.Join(root, "one", "f"), filepath.Join(root, "two", "f")
	for _, name := range []string{one, two} {
		check(t, os.Mkdir(filepath.Dir(name), 0o700), os.WriteFile(name, []byte("0"), 0o600))
		check(t, os.Chtimes(name, time.Time{}, time.Now().Add(-time.Hour)))
	}
	w := start(t, watch.Options{Files: []string{one}})
	w.SetFiles([]string{two})
	check(t, os.WriteFile(one, []byte("1"), 0o600)) // nobody looks
	check(t, os.WriteFile(two, []byte("1"), 0o600))
	w.await(t, two, "1")
	w.SetFiles([]string{one, two}) // one was written a moment ago, perhaps after it was read
	w.await(t, one, "1")
	check(t, os.WriteFile(one, []byte("2"), 0o600))
	w.await(t, one, "2")
	w.SetFiles([]string{two, one})
	w.calm(t, one)
}
