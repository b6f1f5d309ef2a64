package config

import "github.com/plait-mcp/plait/config/tree"

// Pos is a place in a file.
type Pos = tree.Pos

// Problem is one mistake in a file.
type Problem = tree.Problem //nolint:errname // see there

// Problems are mistakes in the order of the file; as an error it is never empty.
type Problems = tree.Problems //nolint:errname // see there
