package catalog

import (
	"path"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxDecodings is how often a URI is percent-decoded: some programs do it more than once.
const maxDecodings = 3

// uriForms returns the ways in which a URI can be written, or understood, by programs that read URIs more or less
// strictly. It is denied when one of denied is; it is allowed when in each list of allowed one is.
//
// Denied are so: the URI as it is; normalised; percent-decoded, also repeatedly; each of them without invisible
// characters, dot segments, backslashes, repeated slashes and slashes at the end; without fragment; without query;
// and, of schemes that WHATWG's URL knows, without what makes no difference there. To be allowed a URI must be so as
// it is or normalised, and, if it has segments "..", as they resolve.
func uriForms(uri string) (denied []string, allowed [][]string) {
	plain := []string{uri, normalize(uri)}
	allowed = [][]string{plain}
	denied = plain
	form := norm.NFKC.String(uri)
	for range maxDecodings + 1 {
		resolved := resolve(form)
		if climbs(form) {
			allowed = append(allowed, []string{resolved, normalize(resolved)})
		}
		denied = append(denied, form, normalize(form), resolved)
		decoded := norm.NFKC.String(decode(form))
		if decoded == form {
			break
		}
		form = decoded
	}
	for _, d := range denied {
		for _, mark := range []string{"#", "?"} {
			if before, _, ok := strings.Cut(d, mark); ok {
				denied = append(denied, before, resolve(before))
			}
		}
	}
	for _, d := range denied {
		denied = append(denied, trimRoot(d)...)
	}
	slices.Sort(denied)
	return slices.Compact(denied), allowed
}

// decode returns a URI with its escapes decoded.
func decode(uri string) string {
	if !strings.Contains(uri, "%") {
		return uri
	}
	b := make([]byte, 0, len(uri))
	for i := 0; i < len(uri); i++ {
		if value, ok := escape(uri[i:]); ok {
			b = append(b, value)
			i += 2
			continue
		}
		b = append(b, uri[i])
	}
	return string(b)
}

// visible returns a URI as those see it who pass over characters that nobody sees and take "\" for "/".
func visible(uri string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\\':
			return '/'
		case r == unicode.ReplacementChar, unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r):
			return -1
		}
		return r
	}, strings.TrimSpace(uri))
}

// climbs reports whether a URI has a segment that leads upwards.
func climbs(uri string) bool {
	return slices.Contains(strings.FieldsFunc(visible(uri), func(r rune) bool {
		return r == '/' || r == '?' || r == '#' || r == ':'
	}), "..")
}

// resolve returns a URI without dot segments, repeated slashes and slashes at the end.
func resolve(uri string) string {
	uri = visible(uri)
	root, rest := splitRoot(uri)
	if root == "" {
		if name := scheme(uri); name != "" {
			root, rest = name+":", uri[len(name)+1:]
		}
	}
	switch {
	case rest == "":
		return root
	case rest[0] == '/':
		return strings.TrimSuffix(root+path.Clean(rest), "/")
	case rest[0] == '?' || rest[0] == '#':
		return root + strings.TrimPrefix(path.Clean("/"+rest), "/")
	}
	return root + path.Clean(rest)
}

// trimRoot returns what else a URI may be taken for by programs that care little for its authority: a file on any
// host is the file; a port that is the usual one, and a user, do not matter.
func trimRoot(uri string) []string {
	name := fold(scheme(uri))
	ports := map[string]string{"http": ":80", "https": ":443", "ws": ":80", "wss": ":443", "ftp": ":21"}
	port, special := ports[name]
	if name != "file" && !special {
		return nil
	}
	rest := strings.ReplaceAll(uri[len(name)+1:], `\`, "/")
	bare := strings.TrimLeft(rest, "/")
	if name == "file" {
		found := []string{"file:///" + bare}
		if host, after, ok := strings.Cut(bare, "/"); ok && strings.HasPrefix(rest, "//") && !strings.HasPrefix(rest, "///") && host != "" {
			found = append(found, "file:///"+strings.TrimLeft(after, "/"))
		}
		return found
	}
	host, after, found := strings.Cut(bare, "/")
	if i := strings.LastIndex(host, "@"); i >= 0 {
		host = host[i+1:]
	}
	host = strings.TrimSuffix(strings.TrimSuffix(host, port), ".")
	if found {
		host += "/" + after
	}
	return []string{name + "://" + host}
}
