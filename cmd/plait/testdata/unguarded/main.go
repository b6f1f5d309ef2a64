// Command unguarded imports the keyring without the guard, and does nothing.
package main

import _ "github.com/99designs/keyring"

func main() {}
