// Package admin is the HTTP listener for operators: liveness, readiness, metrics and profiles. It has no users and no
// passwords, so it belongs on loopback or on a network of operators.
//
//	/livez          200 while the process serves HTTP
//	/readyz         200, or 503 with one reason per line
//	/metrics        in Prometheus' text form
//	/debug/pprof/   Go's profiles, on loopback only unless allowed elsewhere
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

// Limits of the listener. Who comes here is an operator or a collector, a few at a time.
const (
	connectionsMax       = 64
	scrapesMax           = 4
	headerBytesMax       = 16 << 10
	readTimeout          = 10 * time.Second
	idleTimeout          = time.Minute
	scrapeTimeout        = 10 * time.Second
	profileSecondsMax    = 120
	writeTimeout         = (profileSecondsMax + 10) * time.Second // a profile answers after it was taken
	readyReasonsBytesMax = 64 << 10
)

// Options is what a Server shows.
type Options struct {
	// Ready tells why commands can't be served, or nil. Joined errors are shown one per line. Called by many goroutines.
	Ready func() error
	// Metrics is shown at /metrics; see NewRegistry.
	Metrics prometheus.Gatherer
	// PprofRemote serves profiles also when the listener is not on loopback.
	PprofRemote bool
	Log         zerolog.Logger
}

// Server is the admin listener. Serve runs it, Shutdown ends it.
type Server struct {
	options Options
	http    http.Server
}

// New makes a Server that does not listen yet.
func New(o Options) *Server {
	return &Server{options: o, http: http.Server{
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          errorLog(o.Log),
	}}
}

// Serve answers on l, which it owns, until Shutdown. It returns nil after a Shutdown, else what ended it. Call it once.
func (s *Server) Serve(l net.Listener) error {
	s.http.Handler = s.handler(s.options.PprofRemote || onLoopback(l.Addr()))
	if err := s.http.Serve(limit(l, connectionsMax)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the admin listener on %v: %w", l.Addr(), err)
	}
	return nil
}

// Shutdown stops listening, waits until requests that run have ended, or ctx has, and then closes what is left.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	return errors.Join(err, s.http.Close())
}

func (s *Server) handler(profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "live") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.options.Metrics, promhttp.HandlerOpts{
		ErrorLog:            errorLog(s.options.Log),
		ErrorHandling:       promhttp.ContinueOnError, // one broken collector does not hide the others
		MaxRequestsInFlight: scrapesMax,
		Timeout:             scrapeTimeout,
	}))
	if profiles {
		addProfiles(mux)
	} else {
		mux.HandleFunc("/debug/pprof/", func(w http.ResponseWriter, _ *http.Request) {
			text(w, http.StatusForbidden, "profiles are served on loopback only, unless the setting pprof-remote is true")
		})
	}
	return mux
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	err := s.options.Ready()
	if err == nil {
		text(w, http.StatusOK, "ready")
		return
	}
	reasons := err.Error()
	if len(reasons) > readyReasonsBytesMax {
		reasons = reasons[:readyReasonsBytesMax] + "\n..."
	}
	text(w, http.StatusServiceUnavailable, reasons)
}

func addProfiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

// text answers lines of plain text. What a collector or a probe sees must not come out of a cache.
func text(w http.ResponseWriter, status int, lines string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintln(w, lines) // an error is the client's, who has gone
}

func onLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
