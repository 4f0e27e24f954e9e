package main

import (
	"net"
	"syscall"

	"github.com/rs/zerolog"

	"kahuna/config"
)

// warnOfExposure says which listeners take anyone's word and can be reached from elsewhere.
func warnOfExposure(cfg *config.Config, log zerolog.Logger) {
	if cfg.ProtectedMode || cfg.RequirePass != "" {
		return
	}
	for _, l := range []config.Value{
		{Key: "listen", Text: cfg.Listen},
		{Key: "cluster-listen", Text: cfg.ClusterListen},
	} {
		if !loopback(l.Text) {
			log.Warn().Str(l.Key, l.Text).Msg("not on loopback and without passwords: whoever reaches this address can change everything")
		}
	}
}

// loopback tells whether only this machine reaches addr. A name counts as one that others reach, save localhost.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// filesBesideClients is about how many files a node has open apart from its clients: store, log and peers.
const filesBesideClients = 1024

// warnOfFileLimit says that the process may open fewer files than there may be clients.
func warnOfFileLimit(cfg *config.Config, log zerolog.Logger) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return // nothing to compare with; a connection that can't be taken is told when it happens
	}
	if need := uint64(cfg.ClientsMax + filesBesideClients); uint64(limit.Cur) < need {
		log.Warn().Uint64("limit", uint64(limit.Cur)).Uint64("needed", need).Int("clients-max", cfg.ClientsMax).
			Msg("the process may not open enough files for so many clients: raise its limit (ulimit -n) or lower clients-max")
	}
}
