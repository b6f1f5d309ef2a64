package config

import (
	"fmt"
	"slices"
	"strings"
)

const unannotatedHide = "hide"

// checkRules checks the rules of one list, which stand under that key of above.
func (l *loader) checkRules(list string, r *Rules, above ...string) {
	at := func(keys ...string) place { return l.place(slices.Concat(above, []string{list}, keys)...) }
	r.Places = r.places(at)
	if list == "tools" {
		l.choose(at("unannotated"), r.Unannotated, unannotatedHide, "show")
	}
	for _, key := range meaningless(list) {
		if l.isGiven(slices.Concat(above, []string{list, key})...) {
			l.fault(at(key), IDRules, "has no meaning for "+list, "remove it")
		}
	}
	taken := map[string]string{}
	for _, name := range sortedKeys(r.Rename) {
		target := r.Rename[name]
		switch owner, twice := taken[target]; {
		case !isItemName(target):
			l.fault(at("rename", name), IDRules, fmt.Sprintf("%q is not a name", l.source(at("rename", name), target)),
				"use letters, digits, _, - and .")
		case twice:
			l.fault(at("rename", name), IDRules, fmt.Sprintf("%q is the new name of %q, too", l.source(at("rename", name), target), owner),
				"choose another one")
		default:
			taken[target] = name
		}
	}
}

// places returns where the keys of the rules stand, by where at says.
func (r *Rules) places(at func(keys ...string) place) Places {
	if len(r.Allow)+len(r.Rename)+len(r.Override) == 0 && !r.ReadOnly {
		return nil
	}
	found := Places{}
	if len(r.Allow) > 0 {
		found["allow"] = at("allow").pos
	}
	if r.ReadOnly {
		found["readOnly"] = at("readOnly").pos
	}
	for name := range r.Rename {
		found["rename."+name] = at("rename", name).pos
	}
	for name := range r.Override {
		found["override."+name] = at("override", name).pos
	}
	return found
}

// meaningless returns the keys of rules that say nothing about the items of a list.
func meaningless(list string) []string {
	switch list {
	case "prompts":
		return []string{"readOnly", "unannotated", "override"}
	case "resources":
		return []string{"readOnly", "unannotated", "rename", "override"}
	}
	return nil
}

// isItemName tells whether s may be the new name of a tool or prompt.
func isItemName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isWordChar(r) && r != '.' })
}
