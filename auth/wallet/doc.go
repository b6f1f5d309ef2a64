// Package wallet gives out the access tokens of the grants that all processes of a user share.
//
// A grant is what an authorization server allowed once: a refresh token, or what stands for it, and an access token for
// each resource. It is a [Record] of the store, and the unit of locking: who wants to renew takes the kernel lock of the
// grant, reads it again, and asks only when nobody else has; what comes is written before it is used. How a token is
// asked for is no business of this package: a [Place] does that.
//
// What a server refused is never given out again. After an error nothing is asked for a while, which doubles. A grant
// that is used is renewed before its tokens are over; one that nobody uses is left alone.
package wallet
