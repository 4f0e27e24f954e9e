package commands

import (
	"context"
	"strings"

	"kahuna/glob"
)

func configRow() Command {
	const flags = "admin noscript loading stale"
	return Command{Name: "config", Arity: -2, Flags: flags, Since: "2.0.0", Summary: "The settings of the server.", Complexity: "Depends on subcommand.", Sub: []Command{
		{Name: "get", Arity: -3, Flags: flags, Syntax: "parameter [parameter ...]", Since: "2.0.0", Complexity: "O(N) when N is the number of settings", Summary: "The settings whose names match patterns: a map. Beside this server's own there are those of Redis that tools look at.", parse: parseConfigGet},
		{Name: "set", Arity: -4, Flags: flags, Syntax: "parameter value [parameter value ...]", Since: "2.0.0", Complexity: "O(N) when N is the number of settings", Summary: "Changes settings of this node until it ends: notify-keyspace-events (set it on all nodes), slowlog-log-slower-than, slowlog-max-len, acllog-max-len and protected-mode; and, on all nodes for good, requirepass. All of them, or none on an error.", parse: parseConfigSet},
		{Name: "resetstat", Arity: 2, Flags: flags, Since: "2.0.0", Complexity: "O(1)", Summary: "Sets the number of connections received, and those of errors, back to 0.", parse: parseConfigResetStat},
		{Name: "rewrite", Arity: 2, Flags: flags, Since: "2.8.0", Complexity: "O(1)", Summary: "Always an error: the settings file is the operator's.", parse: parseConfigRewrite},
		{Name: "help", Arity: 2, Flags: "loading stale", Since: "5.0.0", Complexity: "O(1)", Summary: "The subcommands.", parse: parseHelp("config")},
	}}
}

// tunable is a setting that can change while the server runs.
type tunable struct {
	name string
	get  func(h *Handler) string
	// check judges a value and returns what applies it, or the reason against it.
	check func(h *Handler, value []byte) (apply func(), reason string)
}

var tunables = []tunable{
	{"protected-mode", func(h *Handler) string { return yesNo(h.protected.Load()) }, func(h *Handler, value []byte) (func(), string) {
		on, ok := map[string]bool{"yes": true, "true": true, "no": false, "false": false}[lower(value)]
		if !ok {
			return nil, "argument must be 'yes' or 'no'"
		}
		return func() { h.protected.Store(on) }, ""
	}},
	{"slowlog-log-slower-than", func(h *Handler) string { return itoa(h.slow.over.Load()) }, func(h *Handler, value []byte) (func(), string) {
		v, reason := integerSetting(value, -1, 1<<62)
		return func() { h.slow.over.Store(v) }, reason
	}},
	{"notify-keyspace-events", func(h *Handler) string { return eventsText(h.events.classes.Load()) }, func(h *Handler, value []byte) (func(), string) {
		classes, ok := parseEvents(string(value))
		if !ok {
			return nil, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
		}
		return func() { h.events.classes.Store(classes) }, ""
	}},
	{"acllog-max-len", func(h *Handler) string { return itoa(int64(h.denials.size())) }, func(h *Handler, value []byte) (func(), string) {
		v, reason := integerSetting(value, 0, denialsLimit)
		return func() { h.denials.resize(int(v)) }, reason
	}},
	{"slowlog-max-len", func(h *Handler) string { return itoa(h.slow.most.Load()) }, func(h *Handler, value []byte) (func(), string) {
		v, reason := integerSetting(value, 0, slowMostLimit)
		return func() { h.slow.resize(v) }, reason
	}},
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func integerSetting(value []byte, least, most int64) (int64, string) {
	v, ok := parseInt(value)
	switch {
	case !ok:
		return 0, "argument couldn't be parsed into an integer"
	case v < least || v > most:
		return 0, "argument must be between " + itoa(least) + " and " + itoa(most) + " inclusive"
	}
	return v, ""
}

// redisSettings are settings of Redis that clients and tools look at, with what is true here.
func (h *Handler) redisSettings() []Setting {
	info := h.backend.Info()
	return []Setting{
		{"appendonly", "yes"}, {"appendfsync", "always"}, {"save", ""}, {"databases", "1"}, {"maxmemory", "0"}, {"maxmemory-policy", "noeviction"},
		{"maxclients", itoa(int64(info.ClientsMax))}, {"port", itoa(int64(info.Port))}, {"timeout", itoa(info.IdleSeconds)}, {"cluster-enabled", "no"},
		{"replica-read-only", "yes"}, {"slave-read-only", "yes"}, {"proto-max-bulk-len", itoa(int64(h.limits.ValueBytes))},
		{"latency-monitor-threshold", "0"}, {"replicaof", ""}, {"slaveof", ""}, {"daemonize", "no"},
	}
}

// allSettings are those that can change, the server's own, and Redis's, each name once.
func (h *Handler) allSettings() []Setting {
	known := map[string]bool{passwordSetting: true}
	all := []Setting{{passwordSetting, h.shownPassword()}}
	for _, t := range tunables {
		known[t.name] = true
		all = append(all, Setting{t.name, t.get(h)})
	}
	for _, s := range append(h.settings(), h.redisSettings()...) {
		if !known[s.Name] {
			known[s.Name] = true
			all = append(all, s)
		}
	}
	return all
}

func parseConfigGet(p *parser) request {
	patterns := p.words()
	for i, pattern := range patterns {
		patterns[i] = []byte(lower(pattern))
	}
	return request{local: func(c *call) {
		var found []Setting
		for _, s := range c.s.h.allSettings() {
			for _, pattern := range patterns {
				if glob.Match(pattern, []byte(strings.ToLower(s.Name))) {
					found = append(found, s)
					break
				}
			}
		}
		c.w.Map(len(found))
		for _, s := range found {
			c.w.BulkString(s.Name)
			c.w.BulkString(s.Value)
		}
	}}
}

// parseConfigSet judges all values before it applies the first.
func parseConfigSet(p *parser) request {
	words := p.words()
	if len(words)%2 != 0 {
		p.arity()
		return request{}
	}
	var apply []func()
	var password *string
	seen := map[string]bool{}
	for i := 0; i < len(words); i += 2 {
		name := lower(words[i])
		if seen[name] {
			p.failSetting(name, "duplicate parameter")
		}
		seen[name] = true
	}
	for i := 0; i < len(words); i += 2 {
		name := lower(words[i])
		if name == passwordSetting {
			text := string(words[i+1])
			password = &text
			continue
		}
		apply = append(apply, p.setting(name, words[i], words[i+1]))
	}
	return request{run: func(ctx context.Context, c *call) error {
		if password != nil {
			if err := c.s.h.setPassword(ctx, *password); err != nil {
				return err
			}
		}
		for _, f := range apply {
			f()
		}
		c.w.SimpleString("OK")
		return nil
	}}
}

// setting finds what applies a value. A setting that can't change may be set to what it is.
func (p *parser) setting(name string, shownName, value []byte) (apply func()) {
	for _, t := range tunables {
		if t.name == name {
			apply, reason := t.check(p.h, value)
			if reason != "" {
				p.failSetting(name, reason)
			}
			return apply
		}
	}
	for _, s := range p.h.allSettings() {
		if strings.ToLower(s.Name) == name {
			if s.Value != string(value) {
				p.failSetting(name, "can't set immutable config")
			}
			return func() {}
		}
	}
	p.fail("ERR Unknown option or number of arguments for CONFIG SET - '" + shown(shownName, 128) + "'")
	return func() {}
}

func (p *parser) failSetting(name, reason string) {
	p.fail("ERR CONFIG SET failed (possibly related to argument '" + name + "') - " + reason)
}

func parseConfigResetStat(*parser) request {
	return request{local: func(c *call) {
		c.s.h.resetCounts()
		c.w.SimpleString("OK")
	}}
}

func parseConfigRewrite(p *parser) request {
	p.fail("ERR The server is running without a config file")
	return request{}
}
