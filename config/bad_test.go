package config

import (
	"errors"
	"strings"
	"testing"
)

// Each wrong file is refused with an error that names the file, the line and the key.
func TestBadFile(t *testing.T) {
	tests := map[string]struct {
		file string
		want []string
	}{
		"unknown key":           {"\n# x\npartition = 4\n", []string{"k.toml:3: partition: there is no such setting"}},
		"two unknown keys":      {"a = 1\nb = 2\n", []string{"k.toml:1: a: there is no", "k.toml:2: b: there is no"}},
		"the file in the file":  {"config = \"x\"\n", []string{"k.toml:1: config: there is no such setting"}},
		"key under a table":     {"[server]\npartitions = 4\n", []string{"k.toml:1: server: there is", "k.toml:2: server.partitions: there is"}},
		"array of tables":       {"[[partitions]]\na = 4\n", []string{"k.toml:1: partitions: ", "k.toml:2: partitions.a: there is"}},
		"dotted key":            {"log.level = \"info\"\n", []string{"k.toml:1: log.level: there is no such setting"}},
		"key given twice":       {"partitions = 4\nlisten = \":1\"\npartitions = 4\n", []string{"k.toml:3: partitions: ", "already defined"}},
		"text for a number":     {"\npartitions = \"4\"\n", []string{`k.toml:2: partitions: "4" is not allowed, it must be a whole number from 1 to 1024`}},
		"fraction for a number": {"partitions = 4.5\n", []string{"k.toml:1: partitions: 4.5 is not allowed"}},
		"number for a text":     {"listen = 6379\n", []string{"k.toml:1: listen: 6379 is not allowed, it must be HOST:PORT"}},
		"number for a bool":     {"pprof-remote = 1\n", []string{"k.toml:1: pprof-remote: 1 is not allowed, it must be true or false"}},
		"array for a number":    {"partitions = [1]\n", []string{"k.toml:1: partitions: [1] is not allowed"}},
		"table for a number":    {"partitions = {a=1}\n", []string{"k.toml:1: partitions: map[a:1] is not allowed"}},
		"text for an array":     {"join = \"a:1\"\n", []string{"k.toml:1: join: \"a:1\" is not allowed, it must be HOST:PORT addresses"}},
		"array of numbers":      {"join = [1]\n", []string{"k.toml:1: join: [1] is not allowed"}},
		"too small":             {"partitions = 0\n", []string{"k.toml:1: partitions: 0 is not allowed", "from 1 to 1024"}},
		"too large":             {"partitions = 1025\n", []string{"k.toml:1: partitions: 1025 is not allowed", "from 1 to 1024"}},
		"beyond 64 bits":        {"partitions = 99999999999999999999\n", []string{"k.toml:1:", "too large"}},
		"syntax":                {"partitions = 4\nlisten = \n", []string{"k.toml:2:10: "}},
		"not UTF-8":             {"\xff\xfe", []string{"k.toml:1:"}},
		"unknown level":         {"log-level = \"loud\"\n", []string{`k.toml:1: log-level: "loud" is not allowed, it must be one of debug, info, warn, error`}},
		"long password":         {"requirepass = \"" + strings.Repeat("s", 513) + "\"\n", []string{"k.toml:1: requirepass: this value is not allowed"}},
		"number for a password": {"requirepass = 1234\n", []string{"k.toml:1: requirepass: this value is not allowed"}},
		"TLS without files":     {"listen-tls = true\n", []string{"need tls-cert-file and tls-key-file"}},
		"clients without CA":    {"tls-auth-clients = \"yes\"\n", []string{"tls-auth-clients = \"yes\": needs tls-ca-cert-file"}},
		"small request":         {"request-bytes-max = 65536\n", []string{"request-bytes-max = 65536: must be at least 4206592", "value-bytes-max"}},
		"small queue":           {"queue-bytes-max = 1048576\n", []string{"queue-bytes-max = 1048576: must be at least request-bytes-max"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Load(given(map[string]string{"config": "k.toml"}, nil, test.file))
			checkError(t, err, test.want)
		})
	}
}

// Each wrong text is refused, as a flag and in the environment, with an error that names where it came from.
func TestBadText(t *testing.T) {
	tests := map[string][]string{
		"partitions":   {"0", "x", "4.0", " 4", "1e3", "-1", "9223372036854775808"},
		"listen":       {"6379", "localhost", "::1:6379:", "h:65536", "h:-1", "h:http"},
		"join":         {"a", "a:1,", ",", ":1", "a:0", "a:1,b"},
		"node-name":    {"a b", "a/b", "ä", strings.Repeat("a", 64)},
		"pprof-remote": {"yes", "1", "TRUE"},
		"data-dir":     {"a\x00b"},
		"log-format":   {"xml", "JSON"},
	}
	for key, texts := range tests {
		for _, text := range texts {
			s := Setting{Key: key}
			_, err := Load(given(map[string]string{key: text}, nil, ""))
			checkError(t, err, []string{"flag --" + key, "is not allowed, it must be"})
			_, err = Load(given(nil, []string{s.Env() + "=" + text}, ""))
			checkError(t, err, []string{"environment variable " + s.Env(), "is not allowed, it must be"})
		}
	}
}

// All that is wrong is told at once.
func TestAllErrorsAtOnce(t *testing.T) {
	_, err := Load(given(map[string]string{"config": "k.toml", "partitions": "x"}, []string{"KAHUNA_LISTEN=y"}, "nonsense = 1\n"))
	checkError(t, err, []string{"flag --partitions", "environment variable KAHUNA_LISTEN", "k.toml:1: nonsense"})
	if !errors.Is(err, ErrUnknown) {
		t.Errorf("%v is not ErrUnknown", err)
	}
}

func checkError(t *testing.T, err error, want []string) {
	t.Helper()
	if err == nil {
		t.Errorf("accepted; want an error with %q", want)
		return
	}
	for _, part := range want {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got %q, want it to contain %q", err, part)
		}
	}
}

// No file makes the reader panic, and what it accepts is within the limits of the table.
func FuzzFile(f *testing.F) {
	f.Add(Example())
	f.Add([]byte("partitions = 4\n[a.b]\nc = [1, {d = 2}]\n\"x y\".z = '''q'''\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Load(given(map[string]string{"config": "k.toml"}, nil, string(data)))
		if err != nil {
			return
		}
		if c.Partitions < 1 || c.Partitions > 1024 || c.RequestBytesMax < c.ValueBytesMax {
			t.Errorf("accepted %+v", c)
		}
	})
}
