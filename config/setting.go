package config

import "strings"

// Setting is a row of the table: one setting under its key. Its flag is --key, its environment variable EnvPrefix and the
// key in upper snake case.
type Setting struct {
	Key     string
	Help    string // what it does, in which unit, and what it costs
	Default string // as TOML text; empty for a setting the file can't have
	NotFile bool   // it says where the file is, so it can't stand in it
	value   value
}

// section is settings that belong together.
type section struct {
	title    string
	settings []Setting
}

// EnvPrefix is what the name of every environment variable of a setting begins with.
const EnvPrefix = "KAHUNA_"

// Env is the name of the setting's environment variable.
func (s Setting) Env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(s.Key, "-", "_"))
}

// Allowed says what the value may be, so that it completes "must be ...".
func (s Setting) Allowed() string { return s.value.allowed() }

// Switch tells that the value is true or false, so that its flag may stand alone.
func (s Setting) Switch() bool { _, is := s.value.(toggle); return is }

// Repeats tells that the value is a list, so that its flag may be given several times.
func (s Setting) Repeats() bool { _, is := s.value.(list); return is }

// Value is a setting as it is in effect, as text.
type Value struct{ Key, Text string }

// Values lists what every setting is in c, in the order of Settings.
func (c *Config) Values() []Value {
	bound := new(Config)
	settings := flatten(table(bound))
	*bound = *c
	values := make([]Value, len(settings))
	for i, s := range settings {
		values[i] = Value{s.Key, s.value.plain()}
	}
	return values
}

// Settings are all settings, in the order in which they are documented.
func Settings() []Setting { return flatten(table(new(Config))) }

func flatten(sections []section) []Setting {
	var all []Setting
	for _, s := range sections {
		all = append(all, s.settings...)
	}
	return all
}

// UnknownEnv lists the environment variables (of the form NAME=value) that look like settings and are none: most likely
// misspelt ones, but service links of container platforms look like that too, so they are no error.
func UnknownEnv(environ []string) []string {
	known := map[string]bool{}
	for _, s := range Settings() {
		known[s.Env()] = true
	}
	var unknown []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, EnvPrefix) && !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}
