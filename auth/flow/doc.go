// Package flow brings a person through a sign-in at an authorization server: from the link that is shown, by the
// browser, to the address where the answer comes in.
//
// A sign-in under way is a record of the store (Pending), sealed like everything there. It is saved before anybody
// sees its link, so that every process of the user can finish it: the answer names it by its state. There is one
// port for the user. Whoever needs it and finds it free holds it, with a kernel lock beside it that tells the other
// processes that it is one of theirs; when the holder dies, one of those whose sign-ins are under way takes it over.
//
// The answer is taken once, only from a request that a browser makes when a person lands on the address, only with
// the state that was given out, and only when the authorization server is the one that was asked (RFC 9207). What
// it brings is exchanged by the function Finish of the broker's Options; the page that the person sees says how
// that ended.
//
// Nothing here decides that somebody has to sign in, and nothing opens a browser by itself: Open is for the callers
// that a person has asked for it.
package flow
