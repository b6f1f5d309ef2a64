package jsonrpc

import "context"

// Sender takes messages for the other side of a session.
type Sender interface {
	// Send sends one message, in the order in which one goroutine calls it. cause is the id of the other side's
	// request that the message belongs to, "" when there is none or nobody knows: a wire with a stream for each
	// request sends it there. It blocks while the other side does not take what was sent before. Any goroutine
	// may call it.
	Send(cause ID, t Text) error
}

// Handler serves what the other side of a session sends.
type Handler interface {
	// Request serves a request and returns the answer, nil for none. It is called on its own goroutine; ctx
	// ends when the other side cancels the request, with a *CancelledError as its cause, or is gone.
	Request(ctx context.Context, m *Message) Text
	// Notification takes a notification. It is called in the order of arrival and does not block.
	Notification(m *Message)
	// Response takes the answer to a request that went out through the Sender. It does not block.
	Response(m *Message)
	// Batches reports whether the other side may send batches.
	Batches() bool
	// Close ends the session and waits for its goroutines, some seconds at most.
	Close()
}

// CancelledError is why a request has ended that the other side cancelled. It is a context.Canceled.
type CancelledError struct{ Reason Raw } // as the other side gave it, nil for none

// Error implements error.
func (e *CancelledError) Error() string { return "the other side cancelled the request" }

// Unwrap returns context.Canceled.
func (e *CancelledError) Unwrap() error { return context.Canceled }
