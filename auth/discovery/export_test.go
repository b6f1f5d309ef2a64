package discovery

import "net/netip"

// Covers is covers, which takes what others wrote.
func Covers(name, server string) bool { return covers(name, server) }

// KindOf is kindOf.
func KindOf(ip netip.Addr) (kind string, hard bool) { return kindOf(ip) }
