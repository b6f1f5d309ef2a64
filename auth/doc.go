// Package auth makes an http.Client for each server with a URL, which comes to it as its identity: how to reach it, whom
// to trust, what to show it, and how to get that.
//
// The [Manager] is made once for a process. Its clients attach a token where a request leaves, and only to the origin
// that the configuration names: whoever a server points to is told nothing. A token that the server refuses is never
// used again; another one is got, and the request is sent once more. Nobody is ever asked inside a request: what
// needs a person is an error at once, a *LoginRequiredError or *StepUpRequiredError, and a sign-in is begun by
// [Manager.Begin] or [Manager.SignIn].
//
// All processes of a user share what is in the store:
//
//   - a bond leads from a server, as an identity comes to it, to a grant; with one, no process asks the network where
//     tokens are;
//   - a grant is what an authorization server allowed: the refresh token, and an access token for each resource. Package
//     wallet gives those out and sees to it that one process of all renews them;
//   - a client is plait's registration at an authorization server, one for each identity there.
//
// Only an authorization server that says that a grant is void makes plait want a person. The network, an overloaded
// server and a full disk do not.
package auth
