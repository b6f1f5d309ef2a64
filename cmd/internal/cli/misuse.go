package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// unknown says that a command has none of that name below it.
func unknown(c *cobra.Command, word string) error {
	return usagef("unknown command %q for %q%s; see %s --help", word, c.CommandPath(), didYouMean(word, commandNames(c)), c.CommandPath())
}

// misuse says what is wrong with flags or arguments that a command does not take.
func misuse(c *cobra.Command, err error) error {
	bad, isValue := errors.AsType[*pflag.InvalidValueError](err)
	switch {
	case isValue:
		err = fmt.Errorf("--%s: %q is not %s", bad.GetFlag().Name, bad.GetValue(), wanted(bad.GetFlag().Value.Type()))
	case c.Args != nil && c.Args(c, c.Flags().Args()) != nil:
		err = fmt.Errorf("the arguments do not fit: %s", c.UseLine())
	}
	return usagef("%w; see %s --help", err, c.CommandPath())
}

// wanted says what a flag of that type takes.
func wanted(kind string) string {
	switch kind {
	case "bool":
		return "true or false"
	case "duration":
		return "a duration, such as 30s or 2m"
	case "uint16":
		return "a number from 0 to 65535"
	}
	return "a whole number"
}
