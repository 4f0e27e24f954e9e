package config

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// given makes sources of flags, environment and one file called k.toml.
func given(flags map[string]string, environ []string, file string) Sources {
	return Sources{
		Flag:    func(key string) (string, bool) { text, ok := flags[key]; return text, ok },
		Environ: environ,
		ReadFile: func(name string) ([]byte, error) {
			if name != "k.toml" {
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
			return []byte(file), nil
		},
	}
}

func TestPrecedence(t *testing.T) {
	flag := map[string]string{"config": "k.toml", "partitions": "2"}
	env := []string{"KAHUNA_PARTITIONS=3", "KAHUNA_CLIENTS_MAX=3", "KAHUNA_WRITE_TIMEOUT_MS="}
	file := "partitions = 5\nclients-max = 5\nwrite-timeout-ms = 5000\n"
	c, err := Load(given(flag, env, file))
	if err != nil {
		t.Fatal(err)
	}
	if c.Partitions != 2 {
		t.Errorf("partitions = %d, want the flag's 2", c.Partitions)
	}
	if c.ClientsMax != 3 {
		t.Errorf("clients-max = %d, want the environment's 3", c.ClientsMax)
	}
	if c.WriteTimeout != 5*time.Second {
		t.Errorf("write-timeout-ms = %v, want the file's 5 s, as the empty variable is not set", c.WriteTimeout)
	}
	if c.QueueOpsMax != 16384 {
		t.Errorf("queue-ops-max = %d, want the default", c.QueueOpsMax)
	}
}

func TestNothingSetIsTheDefault(t *testing.T) {
	c, err := Load(given(nil, nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, Default()) {
		t.Errorf("got %+v, want %+v", c, Default())
	}
	want := Config{DataDir: "./kahuna-data", Listen: "127.0.0.1:6379", ClusterListen: "127.0.0.1:6380",
		PeerListen: "127.0.0.1:6381", AdminListen: "127.0.0.1:6382", LogLevel: "info"}
	got := Config{DataDir: c.DataDir, Listen: c.Listen, ClusterListen: c.ClusterListen, PeerListen: c.PeerListen,
		AdminListen: c.AdminListen, LogLevel: c.LogLevel}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("defaults are %+v, want %+v", got, want)
	}
}

// The same text means the same in all three places, for every setting.
func TestThreeWaysMeanTheSame(t *testing.T) {
	other := map[string]string{"log-level": "warn", "log-format": "json", "pprof-remote": "true", "node-name": "a", "join": "h:1", "notify-keyspace-events": "KEA",
		"data-dir": "/d", "listen": ":1", "cluster-listen": ":1", "peer-listen": ":1", "admin-listen": ":1", "advertise-host": "h", "zone": "z",
		"cluster-secret-file": "/s", "peer-tls-cert-file": "/c", "peer-tls-key-file": "/k", "peer-tls-ca-file": "/a",
		"requirepass": "p", "protected-mode": "false", "listen-tls": "true", "cluster-listen-tls": "true",
		"tls-cert-file": "b", "tls-key-file": "b", "tls-ca-cert-file": "b", "tls-auth-clients": "yes"}
	for _, s := range Settings() {
		if s.NotFile {
			continue
		}
		to, found := other[s.Key]
		if !found {
			to = numberBesideDefault(t, s)
		}
		inFile := to
		switch s.value.(type) {
		case list:
			inFile = `["` + to + `"]`
		case text:
			inFile = `"` + to + `"`
		}
		roomy := "queue-bytes-max = 4294967296\n" // so that the largest request-bytes-max is allowed
		if s.Key == "queue-bytes-max" {
			roomy = ""
		}
		for _, needed := range []string{"tls-cert-file", "tls-key-file", "tls-ca-cert-file"} {
			if needed != s.Key {
				roomy += needed + " = \"a\"\n"
			}
		}
		flag, err1 := Load(given(map[string]string{"config": "k.toml", s.Key: to}, nil, roomy))
		env, err2 := Load(given(nil, []string{"KAHUNA_CONFIG=k.toml", s.Env() + "=" + to}, roomy))
		file, err3 := Load(given(map[string]string{"config": "k.toml"}, nil, roomy+s.Key+" = "+inFile+"\n"))
		none, err4 := Load(given(map[string]string{"config": "k.toml"}, nil, roomy))
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Errorf("%s = %s: %v", s.Key, to, err)
			continue
		}
		if !reflect.DeepEqual(flag, env) || !reflect.DeepEqual(flag, file) {
			t.Errorf("%s: flag %+v, environment %+v, file %+v", s.Key, flag, env, file)
		}
		if reflect.DeepEqual(flag, none) {
			t.Errorf("%s = %s changed nothing", s.Key, to)
		}
	}
}

// numberBesideDefault is an allowed number that is not the default.
func numberBesideDefault(t *testing.T, s Setting) string {
	n, ok := s.value.(number)
	if !ok {
		t.Fatalf("%s: this test has no other value for it", s.Key)
	}
	before := n.get()
	n.set(n.max)
	if n.get() == before || s.Key == "value-bytes-max" || s.Key == "name-bytes-max" {
		n.set(n.min)
	}
	return s.value.literal()
}

func TestEveryFieldHasItsSetting(t *testing.T) {
	c := new(Config)
	fields := map[uintptr]string{}
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		fields[v.Field(i).Addr().Pointer()] = v.Type().Field(i).Name
	}
	if got := len(Settings()); got != len(fields) {
		t.Errorf("%d settings for %d fields", got, len(fields))
	}
	// Each setting, set to something else, changes exactly one field, and no two change the same.
	changed := map[string]string{}
	for i, s := range Settings() {
		c := new(Config)
		row := flatten(table(c))[i]
		before := *c
		disturb(t, row)
		for f := range v.NumField() {
			name := v.Type().Field(f).Name
			if !reflect.DeepEqual(reflect.ValueOf(before).Field(f).Interface(), reflect.ValueOf(*c).Field(f).Interface()) {
				if other, twice := changed[name]; twice {
					t.Errorf("%s and %s both set %s", other, s.Key, name)
				}
				changed[name] = s.Key
			}
		}
	}
	if len(changed) != len(fields) {
		t.Errorf("%d of %d fields are set by settings", len(changed), len(fields))
	}
}

func disturb(t *testing.T, s Setting) {
	switch v := s.value.(type) {
	case number:
		v.set(v.get() + 1)
	case toggle:
		*v.p = !*v.p
	case text:
		*v.p += "x"
	case list:
		*v.p = append(*v.p, "x")
	default:
		t.Fatalf("%s: a kind this test does not know: %T", s.Key, v)
	}
}

func TestSettingsAreNamedAndExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Settings() {
		if seen[s.Key] {
			t.Errorf("%s is there twice", s.Key)
		}
		seen[s.Key] = true
		if s.Key != strings.ToLower(s.Key) || strings.ContainsAny(s.Key, "_ .") {
			t.Errorf("%q is not kebab case", s.Key)
		}
		if want := "KAHUNA_" + strings.ToUpper(strings.ReplaceAll(s.Key, "-", "_")); s.Env() != want {
			t.Errorf("%s has environment variable %s", s.Key, s.Env())
		}
		if len(s.Help) < 20 || !strings.HasSuffix(s.Help, ".") {
			t.Errorf("%s is not explained: %q", s.Key, s.Help)
		}
		if s.NotFile {
			continue
		}
		if err := s.value.parse(strings.Trim(s.Default, `"[]`)); err != nil && s.Default != "[]" {
			t.Errorf("%s: its own default: %v", s.Key, err)
		}
	}
}

func TestValues(t *testing.T) {
	flags := map[string]string{"partitions": "7", "write-timeout-ms": "1500", "listen": ":1", "join": "a:1,b:2", "pprof-remote": "true"}
	c, err := Load(given(flags, nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	before := *c
	got := map[string]string{}
	for _, v := range c.Values() {
		got[v.Key] = v.Text
	}
	if len(got) != len(Settings()) {
		t.Errorf("%d values of %d settings", len(got), len(Settings()))
	}
	for key, want := range flags {
		if got[key] != want {
			t.Errorf("%s = %q, want %q", key, got[key], want)
		}
	}
	if !reflect.DeepEqual(*c, before) {
		t.Error("listing the values changed them")
	}
}

func TestUnknownEnv(t *testing.T) {
	got := UnknownEnv([]string{"KAHUNA_LISTEN=:1", "KAHUNA_LISTNE=:1", "HOME=/", "KAHUNA_CONFIG=x", "KAHUNA_PORT"})
	if want := []string{"KAHUNA_LISTNE", "KAHUNA_PORT"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMissingFile(t *testing.T) {
	_, err := Load(Sources{Flag: func(key string) (string, bool) { return t.TempDir() + "/none.toml", key == "config" },
		ReadFile: os.ReadFile})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.toml") {
		t.Errorf("got %v", err)
	}
}
