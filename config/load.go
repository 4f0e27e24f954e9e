package config

import (
	"errors"
	"fmt"
	"strings"
)

// Sources is where settings come from beside their defaults.
type Sources struct {
	Flag     func(key string) (text string, given bool)
	Environ  []string // NAME=value each
	ReadFile func(name string) ([]byte, error)
}

// Load reads, checks and merges the settings. An error names every setting that is wrong, where it was set, and what it may
// be; it is an *Error, or several joined.
func Load(from Sources) (*Config, error) {
	c := new(Config)
	settings := flatten(table(c))
	env := environment(from.Environ)
	if err := locate(settings, env, from.Flag); err != nil {
		return nil, err
	}
	var wrong []error
	if c.File != "" {
		data, err := from.ReadFile(c.File)
		if err != nil {
			return nil, fmt.Errorf("the settings file can't be read: %w", err)
		}
		wrong = append(wrong, applyFile(settings, c.File, data)...)
	}
	wrong = append(wrong, applyEnv(settings, env)...)
	wrong = append(wrong, applyFlags(settings, from.Flag)...)
	if len(wrong) == 0 {
		wrong = append(wrong, c.validate())
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return c, nil
}

// locate reads the settings that say where the file is, before it is read.
func locate(settings []Setting, env map[string]string, flag func(string) (string, bool)) error {
	var first []Setting
	for _, s := range settings {
		if s.NotFile {
			first = append(first, s)
		}
	}
	return errors.Join(append(applyEnv(first, env), applyFlags(first, flag)...)...)
}

func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, text, _ := strings.Cut(entry, "="); text != "" {
			env[name] = text
		}
	}
	return env
}

func applyEnv(settings []Setting, env map[string]string) (wrong []error) {
	for _, s := range settings {
		if text, given := env[s.Env()]; given {
			if err := s.value.parse(text); err != nil {
				wrong = append(wrong, &Error{"environment variable " + s.Env(), s.Key, err})
			}
		}
	}
	return wrong
}

func applyFlags(settings []Setting, flag func(string) (string, bool)) (wrong []error) {
	for _, s := range settings {
		if text, given := flag(s.Key); given {
			if err := s.value.parse(text); err != nil {
				wrong = append(wrong, &Error{"flag --" + s.Key, s.Key, err})
			}
		}
	}
	return wrong
}

// Error is one setting that is wrong.
type Error struct {
	Where string // the flag, the variable, or the line in the file and the key there
	Key   string
	Err   error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Where, e.Err) }
func (e *Error) Unwrap() error { return e.Err }
