package main

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"kahuna/config"
)

// parse reads a command line of `kahuna server` into a configuration.
func parse(t *testing.T, args ...string) (*config.Config, error) {
	t.Helper()
	var cfg *config.Config
	app := &cli.App{Flags: flags(), Action: func(c *cli.Context) (err error) {
		cfg, err = config.Load(config.Sources{Flag: given(c), ReadFile: os.ReadFile})
		return err
	}}
	return cfg, app.Run(append([]string{"kahuna"}, args...))
}

func TestFlags(t *testing.T) {
	cfg, err := parse(t, "--partitions", "7", "--join", "a:1", "--join", "b:2,c:3", "--pprof-remote", "--listen=:1")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Partitions != 7 || !cfg.PprofRemote || cfg.Listen != ":1" || !reflect.DeepEqual(cfg.Join, []string{"a:1", "b:2", "c:3"}) {
		t.Errorf("got %+v", cfg)
	}
	if cfg, err = parse(t, "--pprof-remote=false"); err != nil || cfg.PprofRemote {
		t.Errorf("got %+v, %v", cfg, err)
	}
	none, err := parse(t)
	if err != nil || !reflect.DeepEqual(none, config.Default()) {
		t.Errorf("without flags: %+v, %v", none, err)
	}
	if got := len(flags()); got != len(config.Settings()) {
		t.Errorf("%d flags for %d settings", got, len(config.Settings()))
	}
}

func TestLogger(t *testing.T) {
	for format, want := range map[string]string{"json": `"message":"heard"`, "text": "WRN heard"} {
		cfg := config.Default()
		cfg.LogLevel, cfg.LogFormat = "warn", format
		var b bytes.Buffer
		log, err := newLogger(&b, cfg)
		if err != nil {
			t.Fatal(err)
		}
		log.Info().Msg("not heard")
		log.Warn().Msg("heard")
		if got := b.String(); strings.Contains(got, "not heard") || !strings.Contains(got, want) || strings.Contains(got, "\x1b") {
			t.Errorf("%s: %q", format, got)
		}
	}
}

func TestWarnings(t *testing.T) {
	cfg := config.Default()
	var b bytes.Buffer
	warnOfExposure(cfg, zerolog.New(&b))
	if b.Len() != 0 {
		t.Errorf("the defaults are warned of: %s", b.String())
	}
	cfg.Listen, cfg.ClusterListen = ":6379", "localhost:1"
	warnOfExposure(cfg, zerolog.New(&b))
	if b.Len() != 0 {
		t.Errorf("in protected mode warned of %s", b.String())
	}
	cfg.ProtectedMode = false
	warnOfExposure(cfg, zerolog.New(&b))
	if got := b.String(); !strings.Contains(got, `"listen":":6379"`) || strings.Contains(got, "cluster") {
		t.Errorf("warned of %s", got)
	}
	b.Reset()
	cfg.ClientsMax = 1 << 40
	warnOfFileLimit(cfg, zerolog.New(&b))
	if !strings.Contains(b.String(), "clients-max") {
		t.Errorf("warned %q of too many clients", b.String())
	}
}
