// Package grant gets tokens from the token endpoint of one authorization server, as one client.
//
// Each way to a token is a method of [Endpoint]; all of them end in one POST of golang.org/x/oauth2, which is used
// for the wire alone: nothing here refreshes by itself, keeps tokens, or tries a second way to authenticate.
// [Exec] and [Assert] get tokens and assertions from elsewhere: a command, a file, the platform a job runs on.
//
// A request is sent once. Who asked may give up before it is sent; from then on it runs to its end, at most
// half a minute, because a code or a rotating refresh token that was sent is spent. Answers are limited to 1 MiB,
// redirects are refused, and no error shows what was sent or received beyond a short, cleaned description.
package grant
