package acl

import (
	"slices"
	"strings"
)

// everyCommand makes the selector start afresh with all commands or with none.
func (s *selector) everyCommand(allowed bool) {
	s.allCommands, s.fromAll = allowed, allowed
	s.commands.setAll(allowed)
	s.firstArgs, s.rules = nil, nil
}

// commandRule applies a rule about a command or a category, given without its sign.
func (s *selector) commandRule(c *Catalog, allowed bool, what string) error {
	if hasSpace(what) {
		return errSyntax
	}
	what = lower(what)
	var err error
	switch category, isCategory := strings.CutPrefix(what, "@"); {
	case isCategory:
		err = s.category(c, category, allowed)
	case allowed:
		err = s.allow(c, what)
	default:
		err = s.deny(c, what)
	}
	if err != nil {
		return err
	}
	s.note(allowed, what)
	return nil
}

func (s *selector) category(c *Catalog, name string, allowed bool) error {
	if !slices.Contains(c.categories, name) {
		return errUnknown
	}
	for id := range c.all {
		if c.all[id].categories[name] {
			s.set(id, allowed)
		}
	}
	return nil
}

// allow allows a command with all that it contains, one subcommand, or a command with one first argument ("select|0").
func (s *selector) allow(c *Catalog, what string) error {
	name, sub, hasSub := cutLast(what)
	id, ok := c.byName[name]
	switch {
	case !ok:
		return errUnknown
	case !hasSub:
		s.setWhole(c, id, true)
		return nil
	case c.all[id].parent >= 0:
		return errSubArg
	case sub == "":
		return errSyntax
	case !c.all[id].container:
		s.allowFirst(id, sub)
		return nil
	}
	if id, ok = c.byName[what]; !ok {
		return errUnknown
	}
	s.set(id, true)
	return nil
}

func (s *selector) deny(c *Catalog, what string) error {
	id, ok := c.byName[what]
	if !ok {
		return errUnknown
	}
	s.setWhole(c, id, false)
	return nil
}

// cutLast cuts at the last bar.
func cutLast(what string) (name, sub string, found bool) {
	if i := strings.LastIndexByte(what, '|'); i >= 0 {
		return what[:i], what[i+1:], true
	}
	return what, "", false
}

// set allows or denies one command, whatever its first argument.
func (s *selector) set(id int, allowed bool) {
	s.commands.set(id, allowed)
	delete(s.firstArgs, id)
	if !allowed {
		s.allCommands = false
	}
}

// setWhole does so for what it contains, too.
func (s *selector) setWhole(c *Catalog, id int, allowed bool) {
	s.set(id, allowed)
	if !c.all[id].container {
		return
	}
	for i := range c.all {
		if c.all[i].parent == id {
			s.set(i, allowed)
		}
	}
}

func (s *selector) allowFirst(id int, arg string) {
	if s.commands.has(id) || slices.Contains(s.firstArgs[id], arg) {
		return
	}
	if s.firstArgs == nil {
		s.firstArgs = map[int][]string{}
	}
	s.firstArgs[id] = append(s.firstArgs[id], arg)
}

// note keeps the rule's text. Earlier rules that it makes void go: one about the same, or about a part of it.
func (s *selector) note(allowed bool, what string) {
	s.rules = slices.DeleteFunc(s.rules, func(rule string) bool {
		rest, same := strings.CutPrefix(rule[1:], what)
		return same && (rest == "" || rest[0] == '|')
	})
	sign := "-"
	if allowed {
		sign = "+"
	}
	s.rules = append(s.rules, sign+what)
}
