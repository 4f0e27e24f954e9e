package admin

import (
	"bytes"
	"log"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
)

// NewRegistry makes a registry that has the metrics of Go's runtime and of the process. More can be registered at any time.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// warnings is a logger as the writer that net/http and the metrics handler want for what they have to say.
type warnings zerolog.Logger

func (w warnings) Write(line []byte) (int, error) {
	l := zerolog.Logger(w)
	l.Warn().Str("part", "admin").Msg(string(bytes.TrimSpace(line)))
	return len(line), nil
}

func errorLog(l zerolog.Logger) *log.Logger { return log.New(warnings(l), "", 0) }
