package cli

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/plait-mcp/plait/auth"
)

// show tells a person what to do. The link goes where nothing is taken out of it.
func (l *login) show(p auth.Prompt) {
	a := l.app
	switch {
	case p.UserCode != "":
		a.say("%s: enter the code %s at this address, on any device%s:", p.Server, p.UserCode, until(p.Expires))
		l.print(p.URL)
	case l.options.printURL:
		fmt.Fprintln(a.env.Out, harmless(p.URL))
	case p.PID != 0 && l.opens():
		a.say("%s: sign-in is already open in your browser (started %s ago by pid %d); if you do not find it: %s",
			p.Server, brief(time.Since(p.Started)), p.PID, p.Link)
	case p.Opened:
		a.say("%s: your browser shows %s; sign in at %s there", p.Server, p.Link, p.AuthServer)
	default:
		if p.PID != 0 {
			a.say("%s: sign-in is already under way (started %s ago by pid %d)", p.Server, brief(time.Since(p.Started)), p.PID)
		}
		a.say("%s: open this on any machine and sign in%s:", p.Server, until(p.Expires))
		l.print(p.URL)
		l.elsewhere(p)
	}
}

// print shows a link to a person, and to nobody else: no log has it.
func (l *login) print(link string) { fmt.Fprintf(l.app.env.Err, "\n    %s\n\n", harmless(link)) }

func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", until " + t.Local().Format("15:04")
}

// elsewhere says how the answer comes back from another machine.
func (l *login) elsewhere(p auth.Prompt) {
	a := l.app
	if l.options.paste {
		a.say("The browser will land on an address that it cannot show. Paste that address here:")
		return
	}
	a.say("The browser comes back to 127.0.0.1:%d of the machine that it runs on. When that is not this one:", p.Port)
	a.say("  - before you open the link, run there:  ssh -L %d:127.0.0.1:%d %s", p.Port, p.Port, a.sshTarget())
	if a.typed() && !l.options.printURL {
		a.say("  - or paste the address that the browser lands on here")
	} else {
		a.say("  - or give the address that the browser lands on to:  plait auth paste %s ADDRESS", p.Server)
	}
	if p.Device {
		a.say("  - or type a code instead:  plait auth login %s --device", p.Server)
	}
}

// sshTarget returns how this machine is reached by ssh, as far as that is known.
func (a *app) sshTarget() string {
	user, host := "USER", "HOST"
	if name, _ := a.env.LookupEnv("USER"); name != "" {
		user = name
	}
	connection, _ := a.env.LookupEnv("SSH_CONNECTION") // client, port, server, port
	if fields := strings.Fields(connection); len(fields) == 4 {
		host = fields[2]
	}
	return user + "@" + host
}

// host returns the host of a URL, "" for none.
func host(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
