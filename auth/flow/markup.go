package flow

import (
	"bytes"
	"strconv"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// The pages are built here and not by html/template, with which a program keeps every method of every type that it
// prints: it made plait a sixth larger.

// render returns the HTML of a page.
func render(page g.Node) ([]byte, error) {
	var out bytes.Buffer
	err := page.Render(&out)
	return out.Bytes(), err
}

const icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%231554c0' " +
	"stroke-width='2.6' stroke-linecap='round'%3E%3Cpath d='M6 2c0 5 12 5 12 10S6 17 6 22'/%3E%3Cpath d='M18 2c0 5-12 5-12 10s12 5 12 10'/%3E%3C/svg%3E"

// document is a whole page. again is a refresh of its head, nil for none.
func document(title string, again g.Node, body ...g.Node) g.Node {
	return h.Doctype(h.HTML(
		h.Lang("en"),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
			h.Meta(h.Name("robots"), h.Content("noindex")),
			h.Link(h.Rel("icon"), h.Href(icon)),
			h.StyleEl(g.Raw(pageCSS)),
			h.TitleEl(g.Text(title+" · plait")),
			again,
		),
		h.Body(append([]g.Node{h.Header(drawing("2.6", "M6 2c0 5 12 5 12 10S6 17 6 22", "M18 2c0 5-12 5-12 10s12 5 12 10"), g.Text("plait"))}, body...)...),
	))
}

// refresh has a browser load the page again, or another one, without script.
func refresh(content string) g.Node {
	return h.Meta(g.Attr("http-equiv", "refresh"), h.Content(content))
}

// drawing is a picture of 24 by 24 that is made of lines.
func drawing(width string, paths ...string) g.Node {
	return g.El("svg", g.Attr("viewBox", "0 0 24 24"), g.Attr("fill", "none"), g.Attr("stroke", "currentColor"), g.Attr("stroke-width", width),
		g.Attr("stroke-linecap", "round"), g.Attr("stroke-linejoin", "round"), h.Aria("hidden", "true"),
		g.Map(paths, func(d string) g.Node { return g.El("path", g.Attr("d", d)) }))
}

// mark is the sign that tells how something is.
func mark(kind string) g.Node {
	paths := map[string][]string{
		"good": {"M5 12.5l4.5 4.5L19 7.5"},
		"bad":  {"M12 5v9", "M12 18.5v.5"},
		"wait": {"M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 1 0 0-17", "M12 7.5V12l3 2"},
		"ask":  {"M8 11.5a4 4 0 1 0 0 8a4 4 0 1 0 0-8", "M11 12.5L19 4.5", "M16 7.5l2.5 2.5"},
		"none": {"M6 12h12"},
	}
	return h.Span(h.Class("mark "+kind), h.Aria("hidden", "true"), drawing("2.5", paths[kind]...))
}

// hint is what to do next.
func hint(text, command string) g.Node {
	return g.If(text != "", h.P(h.Class("hint"), g.Text(text), g.If(command != "", g.Group{g.Text(" "), h.Code(g.Text(command))})))
}

func button(label string, attributes ...g.Node) g.Node {
	return h.A(h.Class("button"), g.Group(attributes), g.Text(label))
}

// markup returns the page.
func (p *page) markup() g.Node {
	return document(p.Title, g.If(p.Refresh > 0, refresh(strconv.Itoa(p.Refresh))), h.Main(
		mark(p.Mark),
		h.H1(g.Text(p.Title)),
		g.Map(p.Text, func(text string) g.Node { return h.P(g.Text(text)) }),
		g.If(len(p.Facts) > 0, h.Dl(g.Map(p.Facts, fact.markup))),
		g.If(p.Button != "", h.P(h.Class("act"), button(p.Button, h.Href(p.To)))),
		hint(p.Hint, p.Command),
	))
}

func (f fact) markup() g.Node {
	value := h.Span
	if f.Code {
		value = h.Code
	}
	return g.Group{h.Dt(g.Text(f.Name)), h.Dd(g.Map(f.Values, func(v string) g.Node { return value(g.Text(v)) }))}
}

// markup returns the page.
func (v *view) markup() g.Node {
	var again g.Node
	switch {
	case v.On != nil:
		again = refresh("2; url=" + v.ID + "/next")
	case !v.Ended:
		again = h.NoScript(refresh("3"))
	}
	return document(v.Title, again,
		h.Class("all"),
		h.Main(
			h.Data("ended", strconv.FormatBool(v.Ended)), h.Data("on", onOrNot(v.On != nil)),
			h.Div(
				h.ID("top"),
				h.H1(g.Text(v.Title)),
				h.P(h.Role("status"), g.Text(v.Status)),
				h.Progress(h.Max(strconv.Itoa(v.All)), h.Value(strconv.Itoa(v.Done)), h.Aria("label", "Signed in")),
			),
			g.If(v.Note != "", h.Div(h.Class("note "+v.Mark), mark(v.Mark), h.Span(g.Text(v.Note), v.goingOn()))),
			h.Div(h.ID("act"), v.act()),
			h.Div(h.ID("list"), g.Map(v.Groups, func(of group) g.Node { return of.markup() })),
		),
		h.Script(g.Raw(pageJS)),
	)
}

func onOrNot(on bool) string {
	if on {
		return "true"
	}
	return ""
}

// goingOn says where the browser goes by itself.
func (v *view) goingOn() g.Node {
	if v.On == nil {
		return nil
	}
	return g.Group{
		g.Text(" Going on to "), h.Strong(g.Text(v.On.Identity)), g.Text("… "), h.A(h.Href(v.ID), g.Text("Stop here")),
	}
}

// act is what the person can do now.
func (v *view) act() g.Node {
	next := g.Group{h.ID("next"), h.Href(v.ID + "/next")}
	switch {
	case v.On != nil:
		return nil
	case v.Left > 1:
		return g.Group{
			h.P(h.Class("act"), button("Sign in to all "+strconv.Itoa(v.Left), next)),
			hint("One after the other, in this tab. You can stop at any time; nothing is lost.", ""),
		}
	case v.Left == 1:
		return h.P(h.Class("act"), button("Sign in", next))
	}
	return hint(v.Hint, v.Command)
}

func (of *group) markup() g.Node {
	name := of.AuthServer
	if name == "" {
		name = "Other"
	}
	return h.Section(h.H2(g.Text(name)), h.Ul(g.Map(of.Rows, (*row).markup)))
}

func (r *row) markup() g.Node {
	end := h.Span(h.Class("state"), g.Text(r.State))
	if r.To != "" {
		end = h.A(h.Class("button small do"), h.ID("go-"+r.Identity), h.Href(r.To), h.Aria("label", "Sign in as "+r.Identity), g.Text("Sign in"))
	}
	return h.Li(
		mark(r.Mark),
		h.Div(
			h.Class("who"),
			h.Strong(g.Text(r.Identity)),
			g.If(r.Servers != "", h.Span(g.Text(r.Servers))),
			g.If(r.Detail != "", h.Span(g.Text(r.Detail))),
		),
		end,
	)
}
