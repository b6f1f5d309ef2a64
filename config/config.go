package config

import (
	"slices"
	"time"
)

// Config is a configuration, read from all its layers and checked. It is immutable: nobody changes it after Load.
type Config struct {
	Path        string             // of the file that Load was given, absolute
	Files       []string           // every file that was read or looked for, absolute: a change of any of them may change the Config
	Profile     string             // the profile that was chosen, "" for none
	Startup     Startup            //
	Reload      Reload             //
	Log         Log                //
	Naming      Naming             //
	Limits      Limits             //
	Serve       Serve              //
	Credentials Credentials        //
	Auth        Auth               //
	Identities  []*Identity        // in the order of the file, those that no chosen server may use left out
	Servers     []*Server          // in the order of the file, those that are disabled or not chosen left out
	Profiles    map[string]*Config // by name, the same with each profile chosen, whose mistakes matter nowhere else; nil unless Options.AllProfiles wants them
	Blank       bool               // no file has mcpServers, not even an empty one: it may not be saved to its end
	Warnings    Problems           // what validate shows and serve logs once; in the order of the file
}

// Startup says how the program behaves until its servers are there.
type Startup struct {
	Wait           time.Duration `koanf:"wait"`           // how long a first list waits for servers that still connect
	Snapshot       bool          `koanf:"snapshot"`       // keep the last good lists on disk, and show them at the start
	SnapshotMaxAge time.Duration `koanf:"snapshotMaxAge"` // older ones are not shown
}

// Reload says how a change of the file takes effect.
type Reload struct {
	Watch    bool          `koanf:"watch"`    // reload when a file changes, not only when asked
	Debounce time.Duration `koanf:"debounce"` // how long the files must stay as they are
	Drain    time.Duration `koanf:"drain"`    // how long calls in flight keep a server that is not wanted any more
}

// Log says what is logged, and where. Standard error always gets it, File as well when set.
type Log struct {
	Level  string `koanf:"level"`  // trace, debug, info, warn, error, off
	Format string `koanf:"format"` // text or json
	File   string `koanf:"file"`   // absolute, "" for none
}

// Naming says how exposed names are made.
type Naming struct {
	Separator   string `koanf:"separator"`   // "_", "__" or "-", between prefix and name
	MaxLength   int    `koanf:"maxLength"`   // 16 to 64
	OnTooLong   string `koanf:"onTooLong"`   // "shorten", or "error": the item is left out with a warning
	OnCollision string `koanf:"onCollision"` // "hash", or "error": the item is left out with a warning
	BareNames   bool   `koanf:"bareNames"`   // a tool may be called by its own name too, if only one server has it
}

// Limits bounds what a peer may send.
type Limits struct {
	Message int64 `koanf:"message"` // bytes of one JSON-RPC message
}

// Problems returns the problems of all servers, in the order of the servers; one that several have is there once.
func (c *Config) Problems() Problems {
	var all Problems
	for _, s := range c.Servers {
		for _, p := range s.Problems {
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}
