package flow

import (
	"crypto/sha256"
	_ "embed" // the style
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

//go:embed page.css
var pageCSS string

// page is what a person sees: one thing, and what to do next.
type page struct {
	Mark    string // "ask", "good", "bad" or "wait": the sign beside the title
	Title   string
	Text    []string
	Facts   []fact
	Button  string // "" for none
	To      string // where the button leads
	Hint    string
	Command string // what to type, after Hint
	Refresh int    // seconds until the page loads itself again, 0 for never
}

// fact is a line of the list under the text.
type fact struct {
	Name   string
	Values []string
	Code   bool // they are words for machines
}

// show answers with a page.
func show(w http.ResponseWriter, status int, p *page) {
	html, err := render(p.markup())
	if err != nil {
		status, html = http.StatusInternalServerError, []byte("plait cannot show its page\n")
	}
	write(w, status, html)
}

func write(w http.ResponseWriter, status int, html []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(html)))
	w.WriteHeader(status)
	_, _ = w.Write(html) //nolint:gosec // package html made it
}

// policy returns the Content-Security-Policy of our pages: nothing but our own style, and script when there is one.
func policy(script string) string {
	p := "default-src 'none'; style-src " + digest(pageCSS) + "; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if script != "" {
		p += "; connect-src 'self'; script-src " + digest(script)
	}
	return p
}

// digest returns the source expression for an inline text, CSP level 3 section 2.3.1.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func stalePage() *page {
	return &page{
		Mark: "bad", Title: "This sign-in link is no longer valid",
		Text: []string{"It was used already, it was called off, or its time is over. Nothing was changed."},
		Hint: "Start again from where you came: repeat the call in your client, or run", Command: "plait auth login",
	}
}

func brokenPage() *page {
	return &page{
		Mark: "bad", Title: "plait cannot take this sign-in",
		Text: []string{"What plait has saved about it cannot be read now."},
		Hint: "To see why, run", Command: "plait auth status",
	}
}

func busyPage(r *record) *page {
	return &page{
		Mark: "wait", Title: "Signing in to " + enumerate(r.Pending.Servers) + "…",
		Text: []string{r.Pending.AuthServer + " has answered. One moment."}, Refresh: 1,
	}
}

// connectPage is what a link to sign in shows first: who wants what, from whom.
func connectPage(r *record) *page {
	servers := enumerate(r.Pending.Servers)
	return &page{
		Mark: "ask", Title: "Sign in to " + servers,
		Text:  []string{"plait wants to use " + servers + " as you. You sign in at " + r.Pending.AuthServer + "; plait never sees your password."},
		Facts: facts(r), Button: "Continue to " + r.Pending.AuthServer, To: r.Pending.ID + "/go",
		Hint: "Only go on if you have just asked for this. The link is valid until " + r.Pending.Expires.Local().Format("15:04") + ".",
	}
}

// endPage says how a sign-in ended.
func endPage(r *record) *page {
	servers := enumerate(r.Pending.Servers)
	p := &page{Mark: "bad", Facts: facts(r), Hint: "To try again, run", Command: "plait auth login " + r.Pending.Identity}
	switch r.Phase {
	case signedIn:
		p.Mark, p.Title, p.Hint, p.Command = "good", "Signed in to "+servers, "", ""
		p.Text = []string{"You can close this tab and go back to your client or your terminal. What " + servers + " offers is there in a moment."}
	case declined:
		p.Title, p.Text = "You declined access", []string{"plait does not use " + servers + ", and will not ask again by itself."}
	case answered:
		p.Title, p.Text = "The sign-in was refused", []string{r.Pending.AuthServer + " answered: " + said(r)}
	case foreign:
		p.Title = "The sign-in was stopped"
		p.Text = []string{"The answer did not come from the authorization server that was asked. Nothing of it was used."}
	case failed:
		p.Title, p.Text = "The sign-in did not work", []string{r.Text}
	case open, exchanging, canceled:
		return stalePage()
	}
	return p
}

// said is the error of an authorization server in its own words.
func said(r *record) string {
	if r.Text == "" {
		return r.Code
	}
	return r.Code + " (“" + r.Text + "”)"
}

func facts(r *record) []fact {
	all := []fact{{Name: "Server", Values: []string{enumerate(r.Pending.Servers)}}}
	if len(r.Pending.Servers) > 1 {
		all[0].Name = "Servers"
	}
	if len(r.Pending.Servers) != 1 || r.Pending.Servers[0] != r.Pending.Identity {
		all = append(all, fact{Name: "Identity", Values: []string{r.Pending.Identity}})
	}
	all = append(all, fact{Name: "Signs in at", Values: []string{r.Pending.AuthServer}})
	if len(r.Pending.Scopes) > 0 {
		asks := fact{Name: "Asks for", Values: r.Pending.Scopes, Code: true}
		if r.Phase != open {
			asks.Name = "Asked for"
		}
		all = append(all, asks)
	}
	return all
}

// enumerate joins names as a person would.
func enumerate(names []string) string {
	switch n := len(names); n {
	case 0:
		return "the server"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}
