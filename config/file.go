package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// ErrUnknown says that a key of the file is no setting.
var ErrUnknown = errors.New("there is no such setting")

// applyFile sets what the file says. The file is flat: one `key = value` per setting.
func applyFile(settings []Setting, name string, data []byte) (wrong []error) {
	values := map[string]any{}
	if err := toml.Unmarshal(data, &values); err != nil {
		return []error{syntaxError(name, err)}
	}
	byKey := map[string]Setting{}
	for _, s := range settings {
		if !s.NotFile {
			byKey[s.Key] = s
		}
	}
	for _, at := range positions(data) {
		where := fmt.Sprintf("%s:%d: %s", name, at.line, at.key)
		s, known := byKey[at.key]
		if !known {
			wrong = append(wrong, &Error{where, at.key, ErrUnknown})
			continue
		}
		if err := s.value.decode(values[at.key]); err != nil {
			wrong = append(wrong, &Error{where, at.key, err})
		}
	}
	return wrong
}

// syntaxError gives an error of the TOML reader (a key given twice among them) its file and line.
func syntaxError(name string, err error) error {
	var at *toml.DecodeError
	if !errors.As(err, &at) {
		return fmt.Errorf("%s: %w", name, err)
	}
	line, column := at.Position()
	if key := strings.Join(at.Key(), "."); key != "" {
		return &Error{fmt.Sprintf("%s:%d: %s", name, line, key), key, err}
	}
	return fmt.Errorf("%s:%d:%d: %w", name, line, column, err)
}

// position is where a key stands.
type position struct {
	key  string // dotted
	line int    // from 1
}

// positions finds the keys of a valid TOML document in their order, the heads of tables among them.
func positions(data []byte) []position {
	var (
		p     unstable.Parser
		keys  []position
		table string
	)
	p.Reset(data)
	for p.NextExpression() {
		at := keyOf(&p, p.Expression())
		if p.Expression().Kind == unstable.KeyValue {
			at.key = table + at.key
		} else {
			table = at.key + "."
		}
		keys = append(keys, at)
	}
	return keys
}

// keyOf is the dotted key of a key and value, or of a table's head.
func keyOf(p *unstable.Parser, n *unstable.Node) position {
	var (
		parts []string
		line  int
	)
	for key := n.Key(); key.Next(); {
		if line == 0 {
			line = p.Shape(key.Node().Raw).Start.Line
		}
		parts = append(parts, string(key.Node().Data))
	}
	return position{strings.Join(parts, "."), line}
}
