package upstream

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

const month = 720 * time.Hour

// aKey is a key as snapshotKey makes them.
const aKey = "0123456789abcdef0123456789abcdef"

// toolsOf is a snapshot with a list of these tools.
func toolsOf(read time.Time, items ...string) *snapshot {
	s := &snapshot{hello: jsonrpc.Raw(`{"instructions":"<be> \"kind\""}`)}
	s.lists[protocol.Tools] = known{frame: jsonrpc.Raw(`{"tools":[]}`), read: read}
	for _, item := range items {
		s.lists[protocol.Tools].items = append(s.lists[protocol.Tools].items, jsonrpc.Raw(item))
	}
	return s
}

func show(s *snapshot) string {
	if s == nil {
		return "nothing"
	}
	lines := []string{string(s.hello)}
	for l, k := range s.lists {
		if !k.read.IsZero() {
			read := k.read.UTC().Format(time.RFC3339)
			lines = append(lines, fmt.Sprintf("%s %s %q %s", protocol.List(l).Member(), k.frame, k.items, read))
		}
	}
	return strings.Join(lines, "\n")
}

func openSnapshots(t *testing.T, dir string) *Snapshots {
	t.Helper()
	s := OpenSnapshots(dir, month, nil)
	if s == nil {
		t.Fatal("no snapshots")
	}
	return s
}

func fileOf(dir string) string { return filepath.Join(dir, aKey+snapshotEnd) }

func TestSnapshotsComeBackByteForByte(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	now := time.Now().Truncate(time.Second)
	s := toolsOf(now, `{ "name" : "t<>&",	"x": 1.0e2}`, "{}", `{"name":"ü\u00fc"}`)
	s.lists[protocol.Prompts] = known{read: now.Add(-time.Hour)} // the server has none
	openSnapshots(t, dir).save(aKey, s)
	again := openSnapshots(t, dir)
	if diff := cmp.Diff(show(s), show(again.load(aKey))); diff != "" {
		t.Error(diff)
	}
	if got := again.hello(aKey); !bytes.Equal(got, s.hello) {
		t.Errorf("hello %s, want %s", got, s.hello)
	}
	if got := openSnapshots(t, dir).hello(aKey); !bytes.Equal(got, s.hello) { // of the first line alone
		t.Errorf("hello %s, want %s", got, s.hello)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for name, want := range map[string]os.FileMode{dir: 0o700, fileOf(dir): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode().Perm(), err, want)
		}
	}
}

// What is not as plait wrote it is ignored and removed.
func TestSnapshotsThatAreNotBelieved(t *testing.T) {
	good, err := toolsOf(time.Now(), `{"name":"t"}`).encode(aKey, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	other, _ := toolsOf(time.Now(), `{"name":"t"}`).encode(strings.Repeat("f", 32), time.Now())
	flipped := bytes.Replace(good, []byte(`"name":"t"`), []byte(`"name":"x"`), 1)
	for name, text := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-9], "header alone": good[:bytes.IndexByte(good, '\n')+1], "flipped": flipped,
		"of another server": other, "garbage": []byte("}{"), "too large": append(slices.Clone(good), make([]byte, maxSnapshot)...),
		"longer": append(slices.Clone(good), ' '),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openSnapshots(t, dir)
			if err := os.WriteFile(fileOf(dir), text, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := s.load(aKey); got != nil {
				t.Errorf("it was believed: %s", show(got))
			}
			if _, err := os.Lstat(fileOf(dir)); err == nil {
				t.Error("it is still there")
			}
			if err := os.WriteFile(fileOf(dir), text, 0o600); err != nil {
				t.Fatal(err)
			}
			_ = s.hello(aKey) // of some of them the first line is good
			s.save(aKey, toolsOf(time.Now(), `{"name":"t"}`))
			if got := openSnapshots(t, dir).load(aKey); got == nil {
				t.Error("it was not replaced")
			}
		})
	}
}

func TestSnapshotsFollowNoLinks(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	openSnapshots(t, outside).save(aKey, toolsOf(time.Now(), `{"name":"t"}`))
	s := openSnapshots(t, dir)
	if err := os.Symlink(fileOf(outside), fileOf(dir)); err != nil {
		if runtime.GOOS != "windows" { // where it needs a privilege
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if got := s.load(aKey); got != nil {
		t.Errorf("a link was followed to %s", show(got))
	}
	if err := os.Symlink(fileOf(outside), fileOf(dir)); err != nil {
		t.Fatal(err)
	}
	if got := s.hello(aKey); got != nil {
		t.Errorf("a link was followed to %s", got)
	}
	if err := os.Symlink(fileOf(outside), fileOf(dir)); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(fileOf(outside))
	s.save(aKey, toolsOf(time.Now(), `{"name":"u"}`))
	if after, _ := os.ReadFile(fileOf(outside)); !bytes.Equal(before, after) {
		t.Error("a link was written through")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	if OpenSnapshots(link, month, nil) != nil {
		t.Error("a folder that is a link was taken")
	}
}

// A folder that others may write to is taken from them; what is no folder is none.
func TestSnapshotsClaimTheFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	openSnapshots(t, dir)
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 && runtime.GOOS != "windows" {
		t.Errorf("the folder is %v", info.Mode())
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if OpenSnapshots(file, month, nil) != nil {
		t.Error("a file was taken for a folder")
	}
}

// What has not changed is not written again, and what a session does not know is kept.
func TestSnapshotsAreWrittenWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := openSnapshots(t, dir)
		written := func(want bool, now *snapshot) {
			t.Helper()
			before, _ := os.Stat(fileOf(dir))
			s.save(aKey, now)
			after, err := os.Stat(fileOf(dir))
			if err != nil {
				t.Fatal(err)
			}
			if got := before == nil || !os.SameFile(before, after); got != want {
				t.Errorf("written %v, want %v", got, want)
			}
		}
		one := toolsOf(time.Now(), `{"name":"t"}`)
		written(true, one)
		written(false, toolsOf(time.Now(), `{"name":"t"}`))
		s = openSnapshots(t, dir)
		s.load(aKey)
		written(false, toolsOf(time.Now(), `{"name":"t"}`))
		<-time.After(month / 9)
		written(true, toolsOf(time.Now(), `{"name":"t"}`)) // it would be too old soon
		prompts := &snapshot{hello: one.hello}
		prompts.lists[protocol.Prompts] = known{items: []jsonrpc.Raw{jsonrpc.Raw(`{"name":"p"}`)}, read: time.Now()}
		written(true, prompts)
		got := show(openSnapshots(t, dir).load(aKey))
		if !strings.Contains(got, `{\"name\":\"t\"}`) || !strings.Contains(got, `{\"name\":\"p\"}`) {
			t.Errorf("the lists are %s", got)
		}
		written(false, toolsOf(time.Now().Add(-time.Hour), `{"name":"old"}`))
		huge := toolsOf(time.Now().Add(time.Second), `"`+strings.Repeat("x", maxSnapshot)+`"`)
		s.save(aKey, huge)
		if _, err := os.Stat(fileOf(dir)); err == nil {
			t.Error("a snapshot that is too large is kept, or an old one in its place")
		}
	})
}

func TestSnapshotsGrowOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := toolsOf(time.Now(), `{"name":"t"}`)
		s.lists[protocol.Prompts] = known{read: time.Now().Add(-month / 2)}
		openSnapshots(t, dir).save(aKey, s)
		<-time.After(month/2 + time.Minute)
		got := openSnapshots(t, dir).load(aKey)
		if got == nil || got.lists[protocol.Tools].read.IsZero() || !got.lists[protocol.Prompts].read.IsZero() {
			t.Errorf("the list that is too old should be missing: %s", show(got))
		}
		<-time.After(month / 2)
		old := openSnapshots(t, dir)
		if old.hello(aKey) != nil {
			t.Error("instructions that are too old")
		}
		if got := old.load(aKey); got != nil && !got.lists[protocol.Tools].read.IsZero() {
			t.Errorf("too old: %s", show(got))
		}
	})
}

// The memory has bounds, the disk has what was forgotten.
func TestSnapshotsAreForgotten(t *testing.T) {
	s := openSnapshots(t, t.TempDir())
	for i := range maxRemembered + 1 {
		s.save(fmt.Sprintf("%032d", i), toolsOf(time.Now(), `{"name":"t"}`))
	}
	if n := len(s.have); n > maxRemembered {
		t.Errorf("%d in memory", n)
	}
	if s.load(fmt.Sprintf("%032d", 0)) == nil {
		t.Error("it was lost")
	}
}

// The folder has bounds. What is not plait's is left alone.
func TestSnapshotsArePruned(t *testing.T) {
	dir := t.TempDir()
	leave := func(name string, size int64, age time.Duration) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Truncate(file, size); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxSnapshots {
		leave(fmt.Sprintf("%032d%s", i, snapshotEnd), 1, time.Duration(i+1)*time.Minute)
	}
	leave("a"+tempEnd, 1, 2*tempAge)
	leave("b"+tempEnd, 1, tempAge/2)
	leave("c"+snapshotEnd, 1, 2*month)
	leave("notes.txt", 1, 2*month)
	openSnapshots(t, dir).save(aKey, toolsOf(time.Now(), `{"name":"t"}`))
	gone := func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err != nil
	}
	for name, want := range map[string]bool{
		fmt.Sprintf("%032d%s", maxSnapshots-1, snapshotEnd): true, fmt.Sprintf("%032d%s", maxSnapshots-2, snapshotEnd): false,
		"a" + tempEnd: true, "b" + tempEnd: false, "c" + snapshotEnd: true, "notes.txt": false, aKey + snapshotEnd: false,
	} {
		if gone(name) != want {
			t.Errorf("%s: gone %v, want %v", name, !want, want)
		}
	}
	for i := range 20 {
		leave(fmt.Sprintf("%032d%s", i, snapshotEnd), maxSnapshot, time.Duration(i+1)*time.Minute)
	}
	openSnapshots(t, dir).save(aKey, toolsOf(time.Now(), `{"name":"u"}`))
	var total int64
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		info, _ := e.Info()
		total += info.Size()
	}
	if total > maxSnapshotBytes || !gone(fmt.Sprintf("%032d%s", 19, snapshotEnd)) || gone(fmt.Sprintf("%032d%s", 0, snapshotEnd)) {
		t.Errorf("%d bytes in %d files", total, len(entries))
	}
}

// Writers do not disturb each other, nor readers.
func TestSnapshotsOfManyWriters(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 30 {
				s := openSnapshots(t, dir)
				name := fmt.Sprintf(`{"name":"%d-%d-%s"}`, w, i, strings.Repeat("x", w*1000))
				s.save(aKey, toolsOf(time.Now(), name, name))
				got := openSnapshots(t, dir).load(aKey)
				if got == nil {
					t.Error("no snapshot")
					continue
				}
				if items := got.lists[protocol.Tools].items; len(items) != 2 || !bytes.Equal(items[0], items[1]) {
					t.Errorf("%d items", len(items))
				}
			}
		})
	}
	all.Wait()
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files are left", len(entries))
	}
}

// The key is of everything that lists may depend on, and of no more.
func TestSnapshotKeys(t *testing.T) {
	hello := func(version, params string) Hello { return Hello{Version: version, Params: jsonrpc.Raw(params)} }
	const roots = `{"capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}`
	as := func(server, identity string) *config.Server {
		return &config.Server{Name: server, Identity: &config.Identity{Name: identity}}
	}
	key := snapshotKey(as("a", "i"), "f", hello(protocol.Latest, roots))
	if len(key) != len(aKey) {
		t.Errorf("the key is %q", key)
	}
	for _, c := range []struct {
		what, other string
		same        bool
	}{
		{"client version", snapshotKey(as("a", "i"), "f", hello(protocol.Latest, strings.ReplaceAll(roots, `"1"`, `"2"`))), true},
		{"name", snapshotKey(as("b", "i"), "f", hello(protocol.Latest, roots)), false},
		{"identity", snapshotKey(as("a", "j"), "f", hello(protocol.Latest, roots)), false},
		{"fingerprint", snapshotKey(as("a", "i"), "g", hello(protocol.Latest, roots)), false},
		{"protocol version", snapshotKey(as("a", "i"), "f", hello("2025-06-18", roots)), false},
		{"capabilities", snapshotKey(as("a", "i"), "f", hello(protocol.Latest, `{"capabilities":{}}`)), false},
		{"borders", snapshotKey(as("af", "i"), "", hello(protocol.Latest, roots)), false},
	} {
		if (c.other == key) != c.same {
			t.Errorf("%s: the same key %v, want %v", c.what, !c.same, c.same)
		}
	}
}

// FuzzSnapshot reads files that plait did not write.
func FuzzSnapshot(f *testing.F) {
	good, err := toolsOf(time.Now(), `{"name":"t"}`, "[1]").encode(aKey, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	_, lists, _ := bytes.Cut(good, []byte{'\n'})
	f.Add(lists)
	f.Add([]byte(`{"jsonrpc":"2.0","id":0,"result":{"tools":[]}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":0,"result":{"tools":{"read":1,"frame":{},"items":{}}}}`))
	f.Fuzz(func(t *testing.T, lists []byte) {
		signed, err := sign(header{Key: aKey, Saved: time.Now()}, lists)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range [][]byte{lists, signed} {
			s, _, err := decodeSnapshot(bytes.Clone(text), aKey)
			if err != nil {
				continue
			}
			again, err := s.encode(aKey, time.Now())
			if err != nil {
				t.Fatalf("%q was read and cannot be written: %v", text, err)
			}
			same, _, err := decodeSnapshot(again, aKey)
			if err != nil || !same.equal(s) {
				t.Fatalf("%q is read as %s, and then as %s: %v", text, show(s), show(same), err)
			}
		}
	})
}
