package config

import "time"

// defaultFile returns the values that hold where the file says nothing. It is filled before decoding: checks come
// after that and change nothing.
func defaultFile() *file {
	return &file{
		Version:     1,
		Startup:     Startup{Wait: 3 * time.Second, Snapshot: true, SnapshotMaxAge: 720 * time.Hour},
		Reload:      Reload{Watch: true, Debounce: 300 * time.Millisecond, Drain: 30 * time.Second},
		Log:         Log{Level: "info", Format: "text"},
		Naming:      Naming{Separator: "_", MaxLength: 48, OnTooLong: "shorten", OnCollision: "hash"},
		Limits:      Limits{Message: 64 << 20},
		Serve:       defaultServe(),
		Credentials: Credentials{Store: wordAuto},
		Auth:        defaultAuth(),
	}
}

// defaultEntry is defaultFile for a server.
func defaultEntry(name string) *entry {
	return &entry{
		Enabled: true,
		Server: Server{
			Prefix: name, ServerStream: true,
			ConnectTimeout: 30 * time.Second, CallTimeout: 10 * time.Minute,
			Ping:  Ping{Interval: time.Minute, Timeout: 10 * time.Second},
			Tools: Rules{Unannotated: unannotatedHide},
		},
	}
}
