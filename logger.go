package main

import (
	"fmt"
	"io"
	"os"

	"github.com/rs/zerolog"

	"kahuna/config"
)

// newLogger makes the log of a server. Its settings were checked when they were read.
func newLogger(w io.Writer, cfg *config.Config) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(cfg.LogLevel)
	if err != nil {
		return zerolog.Nop(), fmt.Errorf("log-level = %q: %w", cfg.LogLevel, err)
	}
	if cfg.LogFormat == "text" {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !isTerminal(w), TimeFormat: zerolog.TimeFieldFormat}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger(), nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
