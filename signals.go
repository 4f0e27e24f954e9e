package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/rs/zerolog"
)

// untilSignal gives a context that ends at the first SIGTERM or SIGINT. At the second, exit ends the process at once, with
// the code that a shell gives a process which died of that signal. release takes the signals back and joins the goroutine.
func untilSignal(parent context.Context, log zerolog.Logger, exit func(code int)) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	done := make(chan struct{})
	var joined sync.WaitGroup
	joined.Go(func() { watch(signals, done, cancel, log, exit) })
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		joined.Wait()
		cancel()
	}
}

func watch(signals <-chan os.Signal, done <-chan struct{}, cancel func(), log zerolog.Logger, exit func(code int)) {
	for first := true; ; first = false {
		select {
		case <-done:
			return
		case s := <-signals:
			if !first {
				log.Warn().Stringer("signal", s).Msg("stopping at once")
				exit(128 + int(s.(syscall.Signal)))
				return
			}
			log.Info().Stringer("signal", s).Msg("stopping; once more to stop at once")
			cancel()
		}
	}
}
