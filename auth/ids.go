package auth

// The stable ids of what goes wrong with sign-ins. They stand behind the texts of errors, and `plait help ID`
// explains each.
const (
	// IDSignIn: nobody has signed in yet as the identity of the server.
	IDSignIn = "PLAIT-AUTH-001"
	// IDExpired: the sign-in ended: it expired, was revoked, or its refresh token was refused.
	IDExpired = "PLAIT-AUTH-002"
	// IDNotOAuth: the server answers 401 and says nothing of OAuth.
	IDNotOAuth = "PLAIT-AUTH-003"
	// IDStepUp: a call needs more rights than the sign-in has.
	IDStepUp = "PLAIT-AUTH-004"
	// IDDeclined: the person, or the server in their name, declined access.
	IDDeclined = "PLAIT-AUTH-005"
	// IDClientRefused: the authorization server refuses the client, its secret, its key or its assertion.
	IDClientRefused = "PLAIT-AUTH-006"
	// IDUnavailable: a token cannot be had or renewed right now; nothing is lost and plait tries again.
	IDUnavailable = "PLAIT-AUTH-007"
	// IDTokenRefused: the server refuses tokens that its own authorization server has just issued.
	IDTokenRefused = "PLAIT-AUTH-008" //nolint:gosec // it is no token
	// IDMoved: the server names another authorization server than the one where the sign-in is from.
	IDMoved = "PLAIT-AUTH-009"
	// IDMetadata: the metadata of the server or of its authorization server cannot be trusted or used.
	IDMetadata = "PLAIT-AUTH-010"
	// IDRegistration: the authorization server does not register plait as a client.
	IDRegistration = "PLAIT-AUTH-011"
	// IDNotKept: a sign-in was renewed and could not be saved.
	IDNotKept = "PLAIT-AUTH-012"
	// IDFlow: a sign-in did not come to its end.
	IDFlow = "PLAIT-AUTH-013"
	// IDRequest: the authorization server refuses what was asked for: a scope, a resource, a grant.
	IDRequest = "PLAIT-AUTH-014"
	// IDSource: the command, file or variable that a token or an assertion comes from gives none.
	IDSource = "PLAIT-AUTH-015"
)
