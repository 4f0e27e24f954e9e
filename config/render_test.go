package config

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"regexp"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the generated files instead of comparing them")

// The example file in the tree is the one that the table gives.
func TestExample(t *testing.T) {
	compare(t, "../config.example.toml", func([]byte) []byte { return Example() })
}

// The README's table of settings is the one that the table gives.
func TestREADME(t *testing.T) {
	compare(t, "../README.md", func(readme []byte) []byte {
		begin, end := []byte("<!-- settings:begin -->\n"), []byte("<!-- settings:end -->\n")
		head, rest, found := bytes.Cut(readme, begin)
		_, tail, closed := bytes.Cut(rest, end)
		if !found || !closed {
			t.Fatal("the README has no marks around its table of settings")
		}
		return bytes.Join([][]byte{head, begin, Markdown(), end, tail}, nil)
	})
}

func compare(t *testing.T, name string, generate func(present []byte) []byte) {
	t.Helper()
	present, err := os.ReadFile(name)
	if err != nil && !*rewrite {
		t.Fatal(err)
	}
	want := generate(present)
	if bytes.Equal(present, want) {
		return
	}
	if !*rewrite {
		t.Fatalf("%s is not what the table of settings gives: run go generate ./config", name)
	}
	if err := os.WriteFile(name, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// The example file is valid as it is, and with every line in effect, and then says what the defaults are.
func TestExampleIsTheDefault(t *testing.T) {
	for name, data := range map[string][]byte{
		"as it is":  Example(),
		"in effect": regexp.MustCompile(`(?m)^#([a-z-]+ = )`).ReplaceAll(Example(), []byte("$1")),
	} {
		c, err := Load(given(map[string]string{"config": "k.toml"}, nil, string(data)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := Default()
		want.File = "k.toml"
		if len(c.Join) == 0 {
			c.Join = nil
		}
		if !reflect.DeepEqual(c, want) {
			t.Errorf("%s: got %+v, want %+v", name, c, want)
		}
	}
	inEffect := regexp.MustCompile(`(?m)^#[a-z-]+ = `).FindAll(Example(), -1)
	if want := len(Settings()) - 1; len(inEffect) != want {
		t.Errorf("the example has %d settings, want %d: all but the file's own name", len(inEffect), want)
	}
}
