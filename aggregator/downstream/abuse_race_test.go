//go:build race

package downstream

// flood is for how many sessions a flood asks.
const flood = 20_000
