package discovery

// Metadata is what an authorization server says of itself (RFC 8414, section 2). It is persisted.
type Metadata struct {
	// Issuer is who it is, byte for byte as its document has it: what `iss` is compared with, and what all credentials
	// are bound to.
	Issuer                      string `json:"issuer"`
	AuthorizationEndpoint       string `json:"authorization_endpoint,omitempty"`
	TokenEndpoint               string `json:"token_endpoint,omitempty"`
	RegistrationEndpoint        string `json:"registration_endpoint,omitempty"`
	DeviceAuthorizationEndpoint string `json:"device_authorization_endpoint,omitempty"`
	RevocationEndpoint          string `json:"revocation_endpoint,omitempty"`

	ScopesSupported      []string `json:"scopes_supported,omitempty"`
	GrantTypes           []string `json:"grant_types_supported,omitempty"`
	AuthMethods          []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	AuthAlgs             []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	CodeChallengeMethods []string `json:"code_challenge_methods_supported,omitempty"`

	ClientIDMetadataDocument bool              `json:"client_id_metadata_document_supported,omitempty"`
	IssInResponse            bool              `json:"authorization_response_iss_parameter_supported,omitempty"` // RFC 9207
	MTLS                     map[string]string `json:"mtls_endpoint_aliases,omitempty"`                          // RFC 8705
	Profiles                 []string          `json:"authorization_grant_profiles_supported,omitempty"`
}
