package commands

import (
	"fmt"
	"strings"
	"time"

	"kahuna/pubsub"
)

func parseInfo(p *parser) request {
	sections := p.words()
	return request{local: func(c *call) { c.w.Verbatim("txt", c.s.info(sections)) }}
}

// info writes the sections that are asked for, each once, in their usual order. A section that there is not is no error.
func (s *Session) info(asked [][]byte) string {
	h := s.h
	want := map[string]bool{}
	for _, a := range asked {
		want[lower(a)] = true
	}
	all := len(asked) == 0 || want["all"] || want["default"] || want["everything"]
	info := h.backend.Info()
	var b strings.Builder
	for _, section := range s.infoSections(&info) {
		if !all && !want[strings.ToLower(section.name)] {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("# " + section.name + "\r\n")
		for _, f := range section.fields {
			b.WriteString(f.Name + ":" + oneLine(f.Value) + "\r\n")
		}
	}
	return b.String()
}

type infoSection struct {
	name   string
	fields []Field
}

func (s *Session) infoSections(i *NodeInfo) []infoSection {
	h, enabled := s.h, "0"
	if s.conn.Cluster {
		enabled = "1"
	}
	now := h.now()
	uptime := max(int64(now.Sub(i.Started).Seconds()), 0)
	clients, ever := h.count()
	cluster := []Field{{"cluster_enabled", enabled}, number("nodes", i.Nodes), number("partitions", i.Partitions),
		number("partitions_led_here", i.Leaders), number("replicas_per_partition", i.Replicas), {"cluster_id", i.ClusterID}}
	errorsTotal, errorsByPrefix := h.errors.fields()
	return []infoSection{
		{"Server", []Field{
			{"redis_version", i.RedisVersion}, {i.Program + "_version", i.Version}, {"redis_mode", s.mode()}, {"os", i.OS}, {"arch_bits", "64"},
			number("process_id", i.ProcessID), {"node_id", i.NodeID}, {"node_name", i.NodeName}, {"run_id", i.NodeID}, number("tcp_port", i.Port),
			number("cluster_port", i.ClusterPort), number("peer_port", i.PeerPort), number("admin_port", i.AdminPort),
			number("server_time_usec", now.UnixMicro()), number("uptime_in_seconds", uptime), number("uptime_in_days", uptime/86400),
		}},
		{"Clients", []Field{number("connected_clients", clients.open), number("maxclients", i.ClientsMax), number("blocked_clients", clients.blocked),
			number("pubsub_clients", clients.listening), number("watching_clients", clients.watching)}},
		{"Memory", []Field{number("used_memory", i.MemoryBytes), {"used_memory_human", human(i.MemoryBytes)}, {"maxmemory", "0"}, {"maxmemory_policy", "noeviction"}}},
		{"Persistence", []Field{{"loading", "0"}, {"aof_enabled", "1"}, {"aof_last_write_status", "ok"}, number("store_bytes", i.StoreBytes), number("log_bytes", i.LogBytes)}},
		{"Stats", []Field{number("total_connections_received", ever), number("total_commands_processed", i.Commands), number("total_net_input_bytes", i.BytesIn),
			number("total_net_output_bytes", i.BytesOut), number("rejected_connections", i.Rejected), {"evicted_keys", "0"}, number("total_error_replies", errorsTotal),
			number("pubsub_channels", h.hub.Count(pubsub.Channel)), number("pubsub_patterns", h.hub.Count(pubsub.Pattern)), number("pubsubshard_channels", h.hub.Count(pubsub.Shard))}},
		{"Replication", []Field{{"role", "master"}, {"connected_slaves", "0"}, {"master_repl_offset", "0"}}},
		{"Modules", nil},
		{"Errorstats", errorsByPrefix},
		{"CPU", []Field{{"used_cpu_sys", seconds(i.CPUSystem)}, {"used_cpu_user", seconds(i.CPUUser)}}},
		{"Cluster", append(cluster, i.Extra...)},
		{"Keyspace", keyspace(i.Keys)},
	}
}

// keyspace is the line of the one database, which Redis leaves out when it is empty.
func keyspace(keys int64) []Field {
	if keys <= 0 {
		return nil
	}
	return []Field{{"db0", fmt.Sprintf("keys=%d,expires=0,avg_ttl=0", keys)}}
}

// human is a number of bytes as people read it.
func human(bytes int64) string {
	size := float64(bytes)
	for _, unit := range []string{"B", "K", "M", "G"} {
		if size < 1024 {
			return fmt.Sprintf("%.2f%s", size, unit)
		}
		size /= 1024
	}
	return fmt.Sprintf("%.2fT", size)
}

// clientCounts are open sessions, and those among them that listen, watch, or wait in a command that blocks.
type clientCounts struct{ open, listening, watching, blocked int }

func (h *Handler) count() (c clientCounts, ever int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sessions {
		if s.wasCut.Load() {
			continue
		}
		c.open++
		if s.kind() == "pubsub" {
			c.listening++
		}
		if s.watches.Load() > 0 {
			c.watching++
		}
		if s.blocked() {
			c.blocked++
		}
	}
	return c, h.opened
}

func (h *Handler) resetCounts() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened = 0
	h.errors.reset()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }

func number[T int | int64](name string, v T) Field { return Field{name, fmt.Sprint(v)} }
