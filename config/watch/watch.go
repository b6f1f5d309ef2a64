// Package watch tells when one of some files holds something else than before.
package watch

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Options say what a Watcher watches, and how.
type Options struct {
	Files    []string      // see SetFiles
	Debounce time.Duration // how long the files must stay as they are before C tells of a change; 0 means 300ms
	Interval time.Duration // between looks at files whose folder the system cannot watch; 0 means 2s
	Log      hclog.Logger  // nil for none
}

const (
	quietTime    = 300 * time.Millisecond
	pollInterval = 2 * time.Second
	// starved is how many quiet times may go by while a file changes all the time.
	starved = 10
	// seldom is how many intervals lie between looks at files whose folders are watched: some changes are not told,
	// as those that another machine makes on a network mount.
	seldom = 5
)

// Watcher tells that one of some files holds something else than before, is gone, or is there: in whatever way it is
// saved, and through symbolic links. It watches folders, for a file that an editor replaces is another file. It
// emits "look again", never what it saw.
//
// A Watcher is made before the files are read, so that no change is missed. All methods may be called at the same time.
type Watcher struct {
	log      hclog.Logger
	debounce time.Duration
	interval time.Duration
	changes  chan struct{}
	requests chan setFiles
	closing  chan struct{}
	stop     func() // closes closing, once
	running  sync.WaitGroup

	// Of run alone.
	fs     *folders
	files  []string
	seen   map[string]content // what the files held when C told of it
	quiet  *time.Timer        // ends when the files have been as they are for long enough
	since  time.Time          // of the first event that quiet waits for, zero when it does not
	unsure bool               // C tells when the files are quiet, even if they are as seen
}

// setFiles is a call of SetFiles.
type setFiles struct {
	files []string
	done  chan struct{}
}

// New returns a watcher that runs until Close.
func New(o Options) (*Watcher, error) {
	files, err := absolutes(o.Files)
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	w := &Watcher{
		log: o.Log, debounce: o.Debounce, interval: o.Interval, files: files,
		changes: make(chan struct{}, 1), requests: make(chan setFiles), closing: make(chan struct{}),
	}
	if w.log == nil {
		w.log = hclog.NewNullLogger()
	}
	if w.debounce <= 0 {
		w.debounce = quietTime
	}
	if w.interval <= 0 {
		w.interval = pollInterval
	}
	w.stop = sync.OnceFunc(func() { close(w.closing) })
	w.quiet = time.NewTimer(0)
	w.quiet.Stop()
	w.fs = newFolders(w.log)
	w.fs.watch(w.files)
	w.seen = readAll(w.files)
	w.running.Go(w.run)
	return w, nil
}

// C returns the channel on which the watcher tells that there is something new to read. It is never closed.
func (w *Watcher) C() <-chan struct{} { return w.changes }

// SetFiles changes what is watched. It returns when they are. What a new file holds is taken for known, unless it was
// written a moment ago: then the caller may have read it before, and C tells of it. The files need not exist.
func (w *Watcher) SetFiles(files []string) {
	if known, err := absolutes(files); err == nil { // else there is no current folder: they are absolute already
		files = known
	}
	request := setFiles{files, make(chan struct{})}
	select {
	case w.requests <- request:
		<-request.done
	case <-w.closing:
	}
}

// Close ends the watcher and waits until it has ended.
func (w *Watcher) Close() error {
	w.stop()
	w.running.Wait()
	return nil
}

func absolutes(files []string) ([]string, error) {
	var all []string
	for _, name := range files {
		absolute, err := filepath.Abs(name)
		if err != nil {
			return nil, err
		}
		all = append(all, absolute)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// run is the one goroutine of a watcher.
func (w *Watcher) run() {
	defer w.fs.close()
	defer w.quiet.Stop()
	polls := 0
	poll := time.NewTicker(w.interval)
	defer poll.Stop()
	for {
		select {
		case <-w.closing:
			return
		case request := <-w.requests:
			w.replace(request.files)
			close(request.done)
		case event := <-w.fs.events():
			if w.fs.concerns(event) {
				w.fs.watch(w.files)
				w.disturbed()
			}
		case err := <-w.fs.errors(): // events were lost
			w.log.Debug("watching stumbled", "err", err)
			w.disturbed()
		case <-poll.C:
			if polls++; w.fs.blind() || polls%seldom == 0 {
				w.poll()
			}
		case <-w.quiet.C:
			w.look()
		}
	}
}

// disturbed begins the quiet time, or begins it anew, but not for ever.
func (w *Watcher) disturbed() {
	now := time.Now()
	if w.since.IsZero() {
		w.since = now
	}
	w.quiet.Reset(min(w.debounce, w.since.Add(starved*w.debounce).Sub(now)))
}

// poll looks for changes that no event told of.
func (w *Watcher) poll() {
	if !w.since.IsZero() {
		return // it will be looked at anyway
	}
	w.fs.watch(w.files)
	if !maps.Equal(w.seen, readAll(w.files)) {
		w.disturbed()
	}
}

// look tells of a change if there is one.
func (w *Watcher) look() {
	w.since = time.Time{}
	w.fs.watch(w.files)
	now := readAll(w.files)
	if maps.Equal(w.seen, now) && !w.unsure {
		w.log.Trace("the files are as they were")
		return
	}
	w.seen, w.unsure = now, false
	select {
	case w.changes <- struct{}{}:
	default: // the reader has yet to look, and will see this, too
	}
}

// replace watches other files.
func (w *Watcher) replace(files []string) {
	w.files = files
	w.fs.watch(files)
	before := w.seen
	w.seen = readAll(files)
	for name := range w.seen {
		if known, ok := before[name]; ok {
			w.seen[name] = known // if it is another now, an event or a poll will find out
		} else if writtenLately(name) {
			w.unsure = true
		}
	}
	if w.unsure || !w.since.IsZero() {
		w.disturbed()
	}
}
