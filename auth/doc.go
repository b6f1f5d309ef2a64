// Package auth makes an http.Client for each server with a URL: how to reach it, whom to trust, and what to show
// it.
//
// The static headers of the configuration are the only credentials as yet. They are attached where the request
// leaves, so that everything that is sent to a server carries them, and only to the origin that the
// configuration names: whoever a server points to is not told its secrets.
package auth
