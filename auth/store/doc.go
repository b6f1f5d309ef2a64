// Package store keeps what was signed in: sealed records on disk that all plait processes of a user share.
//
// A record is a JSON value under a Kind and a key. It lies in a file of its own, sealed with AES-256-GCM: a file that
// was cut off, changed or moved to another name does not open, is put aside (*.bad-TIME) and counts as not there. Files
// are 0600 in folders 0700 that belong to the user; what others may read or write is refused, and so are symbolic
// links. A record is replaced at once (a new file, synced, renamed), and its generation tells whether somebody else
// replaced it meanwhile. Locks are those of the kernel: they end with the process that holds them.
//
// The key of the seal is 32 bytes in the keyring of the operating system or, where there is none, in a file 0600 beside
// the records. Records name the key that sealed them: those of a key that cannot be had now (a locked keyring) stay as
// they are, and whoever reads them gets a KeyError.
//
// Only a helper process talks to the keyring, plait executed once more: it is killed when it does not answer, so that
// a keyring that waits for a person holds nothing up and leaves nothing behind.
package store
