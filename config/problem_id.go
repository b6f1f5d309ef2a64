package config

import "github.com/plait-mcp/plait/config/tree"

// The kinds of problems. A number is never used for another kind; `plait help PLAIT-CFG-003` says more about it.
const (
	IDFile               = tree.IDFile     // a configuration file or a layer does not exist, or cannot be read
	IDSyntax             = tree.IDSyntax   // the text is not YAML, TOML or JSON
	IDUnknownKey         = "PLAIT-CFG-003" // a key that plait does not have
	IDTwice              = "PLAIT-CFG-004" // a key that is there twice, in whichever spelling
	IDKind               = "PLAIT-CFG-005" // a list, a map or nothing where text belongs, or the other way round
	IDValue              = "PLAIT-CFG-006" // text that is not the duration, size, number, name … that belongs there
	IDChoice             = "PLAIT-CFG-007" // a word that is none of those to choose from
	IDRange              = "PLAIT-CFG-008" // a number, duration or size that is too small or too large
	IDBounds             = tree.IDBounds   // a file that is too large, nested too deep or has too many values
	IDEncoding           = tree.IDEncoding // a file that is not UTF-8
	IDUnset              = "PLAIT-CFG-011" // a variable that is not set, or is empty where it may not be
	IDExpression         = "PLAIT-CFG-012" // what stands in ${…} is not understood
	IDEditorVariable     = "PLAIT-CFG-013" // a ${…} that only an editor can fill in
	IDReferenceFile      = "PLAIT-CFG-014" // the file of a ${file:…} cannot be read
	IDReferenceCommand   = "PLAIT-CFG-015" // the command of a ${exec:…} cannot be run, or fails
	IDReferenceForbidden = "PLAIT-CFG-016" // a ${exec:…} that nobody allowed, or a secret reference in a remote layer
	IDExtends            = "PLAIT-CFG-017" // extends goes in a circle, or names too many layers
	IDRemote             = "PLAIT-CFG-018" // a remote layer cannot be fetched
	IDSHA256             = "PLAIT-CFG-019" // a remote layer is not what its sha256 says, or has none
	IDRemotePath         = "PLAIT-CFG-020" // a remote layer names something that only a file on this machine may name
	IDTarget             = "PLAIT-CFG-021" // a server with both url and command, with neither, or with the one its type has not
	IDURL                = "PLAIT-CFG-022" // a url that cannot be used
	IDHeader             = "PLAIT-CFG-023" // a header whose name or value cannot be sent
	IDEnvironment        = "PLAIT-CFG-024" // a variable, argument or command that cannot be handed to a child process
	IDPath               = "PLAIT-CFG-025" // a file or folder that a server names does not exist, or cannot be read
	IDEnvFile            = "PLAIT-CFG-026" // a file of variables that is not in dotenv format
	IDPrefix             = "PLAIT-CFG-027" // two servers that cannot be told apart
	IDPattern            = "PLAIT-CFG-028" // a pattern that cannot be matched with
	IDRules              = "PLAIT-CFG-029" // a rule that has no meaning there, or a new name that is no name or taken
	IDProfile            = "PLAIT-CFG-030" // a profile that does not exist
	IDNoSuchServer       = "PLAIT-CFG-031" // a server that is named and does not exist
	IDNoFile             = "PLAIT-CFG-032" // no configuration file is named or found, or more than one is found
	IDDefaults           = "PLAIT-CFG-033" // a key under defaults that each server has to set for itself
	IDForeign            = "PLAIT-CFG-034" // warning: keys of other programs were ignored
	IDNoEffect           = "PLAIT-CFG-035" // warning: a setting that changes nothing
	IDLiteral            = "PLAIT-CFG-036" // warning: what looks like a secret stands in a file that may be shared
	IDNoUnit             = "PLAIT-CFG-037" // warning: a duration without a unit
	IDNoServer           = "PLAIT-CFG-038" // warning: no server is configured or chosen
	IDInternal           = "PLAIT-CFG-039" // a mistake of plait's
	IDReferenceKeyring   = "PLAIT-CFG-040" // the keyring does not give the entry of a ${keyring:…}
	IDNoSuchIdentity     = "PLAIT-CFG-041" // an identity that is named and does not exist
	IDGrantKey           = "PLAIT-CFG-042" // a key of an identity that has no meaning for its grant
	IDGrantNeeds         = "PLAIT-CFG-043" // an identity without a key that its grant needs
	IDContradiction      = "PLAIT-CFG-044" // two keys of an identity, or a server and its identity, that say different things
	IDNotUsable          = "PLAIT-CFG-045" // none of the identities that a server names may be used here
	IDRedirectURI        = "PLAIT-CFG-046" // a redirect URI that no browser may be sent back to
	IDNoIdentity         = "PLAIT-CFG-047" // an identity for a server that is a command
	IDSameName           = "PLAIT-CFG-048" // a server without an identity that is called as one
	IDScope              = "PLAIT-CFG-049" // what is not one scope
	IDPrivateKey         = "PLAIT-CFG-050" // a key that is neither PEM nor a JWK
	IDUnused             = "PLAIT-CFG-051" // warning: an identity that no server uses
	IDNextBest           = "PLAIT-CFG-052" // warning: an identity of a list that cannot be used, and a later one that is used instead
	IDAnyIssuer          = "PLAIT-CFG-053" // warning: a secret that goes to whichever authorization server a server names
	IDExposed            = "PLAIT-CFG-054" // warning: other machines may reach what is for this one only
	IDGuessable          = "PLAIT-CFG-055" // warning: a token for clients that can be guessed
)
