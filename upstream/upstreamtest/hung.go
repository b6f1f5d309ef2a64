package upstreamtest

import "time"

// hung returns a channel that says when a test waits for something that will not come.
func hung() <-chan time.Time { return time.After(30 * time.Second) }
