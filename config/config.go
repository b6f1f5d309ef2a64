package config

import "time"

// Config is one file, read and checked. It is immutable: nobody changes it after Load.
type Config struct {
	Path     string    // absolute
	Startup  Startup   //
	Log      Log       //
	Naming   Naming    //
	Limits   Limits    //
	Servers  []*Server // in the order of the file, disabled ones left out
	Warnings Problems  // what validate shows and serve logs once; in the order of the file
}

// Startup says how the program behaves until its servers are there.
type Startup struct {
	Wait time.Duration `koanf:"wait"` // how long a first list waits for servers that still connect
}

// Log says what is logged, and where. Standard error always gets it, File as well when set.
type Log struct {
	Level  string `koanf:"level"`  // trace, debug, info, warn, error, off
	Format string `koanf:"format"` // text or json
	File   string `koanf:"file"`   // absolute, "" for none
}

// Naming says how exposed names are made.
type Naming struct {
	Separator string `koanf:"separator"` // "_", "__" or "-", between prefix and name
	MaxLength int    `koanf:"maxLength"` // 16 to 64
	BareNames bool   `koanf:"bareNames"` // a tool may be called by its own name too, if only one server has it
}

// Limits bounds what a peer may send.
type Limits struct {
	Message int64 `koanf:"message"` // bytes of one JSON-RPC message
}

// Problems returns the problems of all servers, in the order of the file.
func (c *Config) Problems() Problems {
	var all Problems
	for _, s := range c.Servers {
		all = append(all, s.Problems...)
	}
	return all
}
