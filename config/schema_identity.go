package config

// identityMeanings says what the keys of identities and of what belongs to them are for, by struct.
func identityMeanings() map[string]map[string]meaning {
	return map[string]map[string]meaning{
		"Identity": grantMeanings(), "ClientAuth": {
			"method": says("how plait proves at the token endpoint which client it is").of(authMethods()...).or("by metadata"),
			"key":    says("private_key_jwt: the private key, PEM or JWK, such as ${file:key.pem}").or("none"),
			"alg":    says("private_key_jwt: how it is signed").of(signingAlgs()...).or("by key"),
			"kid":    says("private_key_jwt: the id of the key").or("none"),
			"audience": says("private_key_jwt: whom the proof is for: issuer, tokenEndpoint or another text").
				or("issuer"),
			"cert":    says("tls_client_auth: PEM file of the certificate").or("none"),
			"certKey": says("tls_client_auth: PEM file of its key").or("none"),
		},
		"Assertion": {
			"from": says("where the token comes from, anew each time").
				of("github-actions", "gitlab", "kubernetes", "file", "env", "command").or("needed"),
			"audience": says("github-actions: whom the token is for").or("issuer, else tokenEndpoint"),
			"file":     says("file, kubernetes: the path of the file that holds it").or("kubernetes: that of the service account"),
			"env":      says("env, gitlab: the variable that holds it").or("gitlab: " + gitlabVariable),
			"command":  says("command: a program that prints it, with its arguments; no shell").or("none"),
		},
		"IdentityProvider": {
			"issuer":                says("the identity provider where a person signs in").or("needed"),
			"authorizationEndpoint": says("where a person signs in").or("discovered"),
			"tokenEndpoint":         says("where it gives tokens").or("discovered"),
			"clientId":              says("which client plait is there").or("needed"),
			"clientSecret":          says("its secret").or("none"),
			"auth":                  says("how plait proves there which client it is"),
			"scopes":                says("what is asked for there").or("openid, offline_access"),
			"idToken":               says("take the token from here instead of a sign-in"),
			"subjectTokenType":      says("what kind of token idToken is: id_token, saml2 or refresh_token, or its URN").or("id_token"),
		},
		"Credentials": {
			"store": says("where sign-ins are kept: files sealed with a key of the keyring of the system, or of a file, or nowhere").
				of("auto", "keyring", "file", "memory"),
			"path": says("the folder of the files").or("plait/auth in the user's state folder"),
			"key":  says("what the files are sealed with, such as ${PLAIT_KEY:-}").or("made by plait"),
		},
		"Auth": {
			"callback":  says("where a browser comes back to after a sign-in"),
			"timeout":   says("how long a sign-in may take"),
			"callWait":  says("how long a call waits for a sign-in before it is answered with the link"),
			"loginTool": says("offer the tool plait_auth, with which a client asks for links"),
		},
		"Callback": {
			"host":      says("in the address that the browser comes back to: 127.0.0.1, localhost or [::1]"),
			"port":      says("one for all servers; 0 for any that is free").within(0, maxPort),
			"bind":      says("listen on this address instead of loopback, as a container needs it").or("loopback"),
			"publicUrl": says("what reaches the port from elsewhere, such as https://host; /callback is added").or("none"),
		},
		"candidate": {
			"use":  says("the name of an identity").or("needed"),
			"when": says("only when this holds").or("always"),
		},
		"condition": {
			"env": says("when this variable is set, and not to 0, false, no or off").or("always"),
		},
	}
}

func grantMeanings() map[string]meaning {
	return map[string]meaning{
		"grant":                       says("how plait gets a token").of(Grants()...),
		"provider":                    says("the ways of this authorization server").of(Providers()...).or("by issuer"),
		"issuer":                      says("the authorization server").or("discovered"),
		"authorizationEndpoint":       says("where a person signs in").or("discovered"),
		"tokenEndpoint":               says("where it gives tokens").or("discovered"),
		"deviceAuthorizationEndpoint": says("where it gives device codes").or("discovered"),
		"registrationEndpoint":        says("where it registers clients").or("discovered"),
		"revocationEndpoint":          says("where it takes tokens back").or("discovered"),
		"clientId":                    says("which client plait is, where that was registered by hand").or("registered"),
		"clientSecret":                says("its secret").or("none"),
		"clientName":                  says("what plait is called in a registration"),
		"clientMetadataUrl":           says("of a Client ID Metadata Document, which says which client plait is").or("none"),
		"clientMetadata":              says("members of a registration, over plait's own").or("none"),
		"registration":                says("how plait becomes a client: auto tries the others in this order").of("auto", "static", "cimd", "dynamic"),
		"registrationToken":           says("the initial access token, where a registration needs one").or("none"),
		"auth":                        says("how plait proves at the token endpoint which client it is"),
		"scopes":                      says("exactly what is asked for; [] for nothing").or("what the server names"),
		"extraScopes":                 says("asked for besides what the server names").or("none"),
		"offlineAccess":               says("ask for offline_access, auto where the server knows it").of("auto", "always", "never"),
		"resource":                    says("the resource of RFC 8707: auto, always, omit or a URI"),
		"redirectURI":                 says("where the browser comes back to, where that was registered by hand").or("by auth.callback"),
		"scopeParam":                  says("what the parameter with the scopes is called"),
		"authorizeParams":             says("further parameters of the address where a person signs in").or("none"),
		"tokenParams":                 says("further parameters of token requests").or("none"),
		"oneLogin":                    says("ask one consent for all servers of the identity that have one issuer").of("auto", "always", "never"),
		"assumePKCE":                  says("the server knows PKCE with S256, though its metadata does not say so"),
		"strictIssuer":                says("take no slash more or less in the name of the issuer"),
		"legacyDiscovery":             says("try /authorize, /token and /register where nothing is published, as in 2025-03-26"),
		"allowPrivateIssuer":          says("the authorization server of a public server may be in a private network"),
		"allowHttp":                   says("permit http:// to an authorization server that is not this machine"),
		"tokenPath":                   says("where in its answer the server puts the token, such as authed_user").or("at the top"),
		"bearer":                      says("which token the server gets").of("accessToken", "idToken"),
		"cacheAccessToken":            says("keep access tokens, too, so that the next process needs no new one"),
		"refreshSkew":                 says("how long before its end a token is renewed").or("by its lifetime"),
		"assertion":                   says("jwt_bearer: the token of somebody else that vouches for plait"),
		"subject":                     says("token_exchange: the token that is exchanged"),
		"subjectTokenType":            says("token_exchange: what kind it is, such as access_token, or its URN").or("jwt"),
		"requestedTokenType":          says("token_exchange: what kind is wanted").or("none"),
		"audience":                    says("token_exchange, client_credentials: whom the token is for").or("none"),
		"idp":                         says("enterprise: the identity provider of the organization"),
		"headers":                     says("header: what is sent with every request").or("none"),
		"username":                    says("basic: the name").or("none"),
		"password":                    says("basic: the password").or("none"),
		"command":                     says("exec: a program that prints a token or JSON with access_token, with its arguments; no shell").or("none"),
		"refreshToken":                says("one from elsewhere, for the first token").or("none"),
		"authorizationCode":           says("one from elsewhere, for the first token").or("none"),
		"codeVerifier":                says("the PKCE verifier of authorizationCode").or("none"),
	}
}
