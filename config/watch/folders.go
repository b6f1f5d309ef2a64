package watch

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/fsnotify/fsnotify"
	"github.com/hashicorp/go-hclog"
)

// folders are what the system watches for a Watcher. It is used by one goroutine.
type folders struct {
	log     hclog.Logger
	system  *fsnotify.Watcher      // nil when the system has none left
	watched map[string]os.FileInfo // by path: as it was when the watch began
	names   map[string]bool        // of what happens to these, and to the folders themselves, the Watcher is told
	missed  bool                   // there is a folder that cannot be watched
	told    bool                   // that was logged
}

// maxFolders bounds how many folders are watched; the files in others are looked at now and then.
const maxFolders = 64

func newFolders(log hclog.Logger) *folders {
	f := &folders{log: log, watched: map[string]os.FileInfo{}, names: map[string]bool{}}
	system, err := fsnotify.NewWatcher()
	if err != nil {
		f.miss("", err)
		return f
	}
	f.system = system
	return f
}

func (f *folders) close() {
	if f.system != nil {
		_ = f.system.Close()
	}
}

func (f *folders) events() <-chan fsnotify.Event {
	if f.system == nil {
		return nil
	}
	return f.system.Events
}

func (f *folders) errors() <-chan error {
	if f.system == nil {
		return nil
	}
	return f.system.Errors
}

// blind tells whether something may change without an event.
func (f *folders) blind() bool { return f.missed }

// concerns tells whether an event may mean that a file holds something else. It takes note of watches that ended.
func (f *folders) concerns(event fsnotify.Event) bool {
	if _, ok := f.watched[event.Name]; ok {
		if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
			f.drop(event.Name) // a folder that takes its place may even look the same
		}
		return true
	}
	if f.names[event.Name] {
		return true
	}
	for name := range f.names { // the file system may not tell upper case from lower
		if strings.EqualFold(name, event.Name) {
			return true
		}
	}
	return false
}

// watch makes the watched folders those in which something can happen to the files. It is called again whenever
// something did: folders come and go, and links point elsewhere.
func (f *folders) watch(files []string) {
	const attempts = 5 // a link may be turned between following it and watching where it led
	for range attempts {
		wanted := map[string]bool{}
		clear(f.names)
		for _, name := range files {
			f.follow(name, wanted)
		}
		if !f.match(wanted) {
			return
		}
	}
}

// match watches the wanted folders, no others, and tells whether that changed anything.
func (f *folders) match(wanted map[string]bool) (changed bool) {
	f.missed = f.system == nil
	if f.missed {
		return false
	}
	for folder, then := range f.watched {
		now, err := os.Stat(folder)
		if wanted[folder] && err == nil && os.SameFile(then, now) {
			continue
		}
		f.drop(folder)
		changed = true
	}
	for folder := range wanted {
		if _, ok := f.watched[folder]; ok {
			continue
		}
		info, err := f.add(folder)
		if err != nil {
			f.miss(folder, err)
			continue
		}
		f.watched[folder] = info
		changed = true
	}
	return changed
}

func (f *folders) drop(folder string) {
	_ = f.system.Remove(folder) // it may have gone by itself
	delete(f.watched, folder)
}

var (
	errManyFolders = errors.New("too many folders")
	errManyEntries = errors.New("too many files in it")
)

func (f *folders) add(folder string) (os.FileInfo, error) {
	if len(f.watched) >= maxFolders {
		return nil, errManyFolders
	}
	info, err := os.Stat(folder)
	if err != nil {
		return nil, err
	}
	if isCrowded(folder) {
		return nil, errManyEntries
	}
	return info, f.system.Add(folder)
}

// isCrowded tells whether watching a folder would take more file handles than it is worth: on BSD systems each file
// in it needs one.
func isCrowded(folder string) bool {
	const most = 500
	switch runtime.GOOS {
	case "linux", "windows":
		return false
	}
	d, err := os.Open(folder)
	if err != nil {
		return false
	}
	defer d.Close()
	names, _ := d.Readdirnames(most + 1)
	return len(names) > most
}

// miss notes that a folder cannot be watched, and says so once.
func (f *folders) miss(folder string, err error) {
	if errors.Is(err, os.ErrNotExist) { // it went just now; an event will tell
		return
	}
	f.missed = true
	if !f.told {
		f.told = true
		f.log.Warn("changes of files are noticed late: a folder cannot be watched", "folder", folder, "err", err)
	}
}

// follow notes the folders in which something can happen to the file: where it lies or would lie, and where each
// symbolic link on the way there does.
func (f *folders) follow(file string, wanted map[string]bool) {
	const maxLinks = 40
	at, rest := split(file)
	for links := 0; len(rest) > 0 && links <= maxLinks; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(next)
		link := err == nil && info.Mode()&os.ModeSymlink != 0
		if err != nil || link || len(rest) == 0 {
			wanted[at], f.names[next] = true, true
		}
		if err != nil {
			return
		}
		if !link {
			at = next
			continue
		}
		links++
		target, err := os.Readlink(next)
		if err != nil {
			return
		}
		if filepath.IsAbs(target) {
			root, names := split(target)
			at, rest = root, append(names, rest...)
		} else {
			rest = append(strings.Split(filepath.Clean(target), string(filepath.Separator)), rest...)
		}
	}
}

// split returns the root of an absolute path and the names below it.
func split(path string) (root string, names []string) {
	path = filepath.Clean(path)
	root = filepath.VolumeName(path) + string(filepath.Separator)
	below := strings.TrimPrefix(path, root)
	if below == "" {
		return root, nil
	}
	return root, strings.Split(below, string(filepath.Separator))
}
