package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"kahuna/cluster"
	"kahuna/server"
)

// metric is a figure that is read when it is asked for.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*cluster.Stats, *server.Stats) float64
}

func counter(name, help string, value func(*cluster.Stats, *server.Stats) float64) metric {
	return metric{prometheus.NewDesc("kahuna_"+name, help, nil, nil), prometheus.CounterValue, value}
}

func gauge(name, help string, value func(*cluster.Stats, *server.Stats) float64) metric {
	return metric{prometheus.NewDesc("kahuna_"+name, help, nil, nil), prometheus.GaugeValue, value}
}

var metrics = []metric{
	gauge("partitions", "Partitions with a replica on this node.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.Replicas) }),
	gauge("partitions_led", "Partitions that this node leads.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.Leaders) }),
	gauge("partitions_led_bytes", "Size in the store of the partitions that this node leads, about.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.LedBytes) }),
	gauge("operations_per_second", "Reads and writes of the partitions that this node leads, over the last minute or so.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.OpsPerSec) }),
	gauge("replica_changes_in_flight", "Partitions whose replicas change, in the whole cluster.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.Moving) }),
	gauge("splits_in_flight", "Splits and merges of partitions on their way, in the whole cluster.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.Splitting) }),
	counter("operations_written_total", "Operations that were put into logs.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.OpsWritten) }),
	counter("operations_read_total", "Operations that were read without a log entry.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.OpsRead) }),
	gauge("operations_waiting", "Operations that wait for a log entry.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.Waiting) }),
	gauge("lock_waiters", "Owners that wait for locks that this node leads, and those who left in the last seconds.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.Waiters) }),
	gauge("change_readers", "Readers that wait for changes at this node (KCHANGES BLOCK).", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.Readers) }),
	counter("change_pages_recent_total", "Pages of changes that were read here by looking at the names that had changed lately.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.Recent) }),
	counter("change_pages_walked_total", "Pages of changes that were read here by going through all names with the prefix.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.Walked) }),
	counter("log_entries_total", "Log entries that were proposed.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.Entries) }),
	counter("log_fsync_total", "Times the log was synced to the disk.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.LogSyncs) }),
	counter("log_written_bytes_total", "Bytes written to the log.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.LogWritten) }),
	gauge("log_bytes", "Size of the log's files.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.LogBytes) }),
	gauge("store_bytes", "Size of the store's tables.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.StoreBytes) }),
	gauge("history_safe_point_age_seconds", "How far back the history is kept: the age of the safe point. 0 before there is one.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.SafeAge) / 1000 }),
	gauge("history_holds", "SNAPSHOT HOLDs in the cluster.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.Holds) }),
	counter("history_versions_collected_total", "Old versions and deletions that partitions led here have collected.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.Collected) }),
	gauge("writes_refused", "1 while writes are refused because the disk is nearly full.", func(n *cluster.Stats, _ *server.Stats) float64 { return float64(n.DiskLow) }),
	gauge("connections", "Client connections.", func(_ *cluster.Stats, s *server.Stats) float64 { return float64(s.Connections) }),
	counter("connections_total", "Client connections since the start.", func(_ *cluster.Stats, s *server.Stats) float64 { return float64(s.ConnectionsTotal) }),
	counter("connections_rejected_total", "Connections that were turned away.", func(_ *cluster.Stats, s *server.Stats) float64 { return float64(s.Rejected) }),
	counter("commands_total", "Commands that were received.", func(_ *cluster.Stats, s *server.Stats) float64 { return float64(s.Commands) }),
	counter("protocol_errors_total", "Connections closed for malformed input.", func(_ *cluster.Stats, s *server.Stats) float64 { return float64(s.ProtocolErrors) }),
	counter("panics_total", "Sessions ended by a defect of the server.", func(_ *cluster.Stats, s *server.Stats) float64 { return float64(s.Panics) }),
	counter("received_bytes_total", "Bytes received from clients.", func(_ *cluster.Stats, s *server.Stats) float64 { return float64(s.BytesIn) }),
	counter("sent_bytes_total", "Bytes sent to clients.", func(_ *cluster.Stats, s *server.Stats) float64 { return float64(s.BytesOut) }),
}

// collector gives all metrics from one look at the node and the server.
type collector struct {
	node   *cluster.Node
	server *server.Server
}

func collectors(n *cluster.Node, s *server.Server) []prometheus.Collector {
	return []prometheus.Collector{collector{n, s}}
}

// Describe lists the metrics.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range metrics {
		to <- m.desc
	}
}

// Collect reads them.
func (c collector) Collect(to chan<- prometheus.Metric) {
	n, s := c.node.Stats(), c.server.Stats()
	for _, m := range metrics {
		to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&n, &s))
	}
}
