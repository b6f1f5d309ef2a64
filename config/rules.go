package config

// Rules say which items of a list are shown, and how. They go by the server's own name for an item, or its URI.
type Rules struct {
	Allow       []Glob              `koanf:"allow"`       // empty allows everything
	Deny        []Glob              `koanf:"deny"`        // wins over Allow
	ReadOnly    bool                `koanf:"readOnly"`    // of tools: only those that say readOnlyHint: true
	Unannotated string              `koanf:"unannotated"` // of tools that do not say, when ReadOnly: "hide" or "show"; "" is "hide"
	Rename      map[string]string   `koanf:"rename"`      // the server's own name to the one that gets the prefix; not of resources
	Override    map[string]Override `koanf:"override"`    // by the server's own name; of tools

	Places Places `koanf:"-"`
}

// Places are where the keys of rules stand that were written: "allow", "readOnly", "rename.NAME", "override.NAME". A
// key without one has the zero Pos.
type Places map[string]Pos

// Glob is a pattern of names, with its place in the file.
type Glob struct {
	Text string
	Pos  Pos
}

// Override replaces what a server says of a tool.
type Override struct {
	Title       *string        `koanf:"title"`
	Description *string        `koanf:"description"`
	Annotations map[string]any `koanf:"annotations"` // each member replaces the server's; numbers are json.Number
}

// Profile is a choice of servers and items for one use of the file.
type Profile struct {
	Servers   []string `koanf:"servers"` // nil for all
	Tools     Rules    `koanf:"tools"`
	Prompts   Rules    `koanf:"prompts"`
	Resources Rules    `koanf:"resources"`
}
