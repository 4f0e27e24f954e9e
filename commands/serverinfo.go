package commands

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kahuna/glob"
)

func serverRows() []Command {
	rows := []Command{
		commandRow(),
		{Name: "info", Arity: -1, Flags: "loading stale dangerous", Syntax: "[section [section ...]]", Since: "1.0.0", Summary: "About the server, in sections.", parse: parseInfo},
		{Name: "config", Arity: -2, Flags: "admin noscript loading stale", Since: "2.0.0", Summary: "The settings of the server.", Complexity: "Depends on subcommand.", Sub: []Command{
			{Name: "get", Arity: -3, Flags: "admin noscript loading stale", Syntax: "parameter [parameter ...]", Since: "2.0.0", Complexity: "O(N) when N is the number of settings", Summary: "The settings whose names match patterns: a map.", parse: parseConfigGet},
			{Name: "help", Arity: 2, Flags: "loading stale", Since: "5.0.0", Complexity: "O(1)", Summary: "The subcommands.", parse: parseHelp("config")},
		}},
		{Name: "time", Arity: 1, Flags: "loading stale fast", Since: "2.6.0", Summary: "The wall clock of this node: seconds, and microseconds. See TIMESTAMP for an order of events.", parse: parseTime},
		{Name: "role", Arity: 1, Flags: "noscript loading stale fast admin", Since: "2.8.12", Summary: "Always that of a master without replicas: every node takes writes.", parse: parseRole},
		{Name: "wait", Arity: 3, Flags: "noscript", Syntax: "numreplicas timeout", Since: "3.0.0", Summary: "On how many other nodes every acknowledged write is; it never has to wait.", parse: parseWait},
		{Name: "lolwut", Arity: -1, Flags: "readonly fast", Syntax: "[VERSION version]", Since: "5.0.0", Summary: "The version of the server.", parse: parseLolwut},
		{Name: "debug", Arity: -2, Flags: "admin noscript loading stale", Since: "1.0.0", Summary: "For tests.", Sub: []Command{
			{Name: "sleep", Arity: 3, Flags: "admin noscript loading stale", Syntax: "seconds", Summary: "Makes this connection wait.", Complexity: "O(1)", parse: parseDebugSleep},
		}},
	}
	return grouped("server", "", rows)
}

func parseTime(*parser) request {
	return request{local: func(c *call) {
		now := c.s.h.now()
		c.w.Array(2)
		c.w.BulkString(itoa(now.Unix()))
		c.w.BulkString(itoa(int64(now.Nanosecond() / 1000)))
	}}
}

func parseRole(*parser) request {
	return request{local: func(c *call) {
		c.w.Array(3)
		c.w.BulkString("master")
		c.w.Int(0)
		c.w.Array(0)
	}}
}

// parseWait answers from how many nodes make a quorum.
func parseWait(p *parser) request {
	p.int()
	timeout, ok := parseInt(p.next())
	switch {
	case !ok:
		p.fail("ERR timeout is not an integer or out of range")
	case timeout < 0:
		p.fail(errTimeoutMinus)
	}
	return request{local: func(c *call) { c.w.Int(int64(c.s.h.backend.Info().Replicas / 2)) }}
}

func parseLolwut(*parser) request {
	return request{local: func(c *call) {
		info := c.s.h.backend.Info()
		c.w.Verbatim("txt", "~~~~~ /|\\ ~~~~~ locks hold, waves break ~~~~~\n"+info.Program+" ver. "+info.Version+"\n")
	}}
}

// sleepMax bounds DEBUG SLEEP.
const sleepMax = time.Hour

func parseDebugSleep(p *parser) request {
	seconds, ok := parseFloat(p.next())
	switch {
	case !ok || seconds > sleepMax.Seconds():
		p.fail(errTimeoutFloat)
	case seconds < 0:
		p.fail(errTimeoutMinus)
	}
	return request{run: func(ctx context.Context, c *call) error {
		select {
		case <-c.s.h.after(time.Duration(seconds * float64(time.Second))):
		case <-ctx.Done():
		}
		c.w.SimpleString("OK")
		return nil
	}}
}

func parseConfigGet(p *parser) request {
	patterns := p.words()
	for i, pattern := range patterns {
		patterns[i] = []byte(lower(pattern))
	}
	return request{local: func(c *call) {
		var found []Setting
		for _, s := range c.s.h.settings() {
			for _, pattern := range patterns {
				if glob.Match(pattern, []byte(strings.ToLower(s.Name))) {
					found = append(found, s)
					break
				}
			}
		}
		c.w.Map(len(found))
		for _, s := range found {
			c.w.BulkString(s.Name)
			c.w.BulkString(s.Value)
		}
	}}
}

// parseHelp lists the subcommands of a container.
func parseHelp(container string) func(p *parser) request {
	return func(p *parser) request {
		row := p.h.table.byName[container]
		return request{local: func(c *call) {
			name := strings.ToUpper(container)
			c.w.Array(1 + 2*len(row.Sub))
			c.w.SimpleString(name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
			for i := range row.Sub {
				c.w.SimpleString(strings.TrimSpace(strings.ToUpper(row.Sub[i].Name) + " " + row.Sub[i].Syntax))
				c.w.SimpleString("    " + row.Sub[i].Summary)
			}
		}}
	}
}

func parseInfo(p *parser) request {
	sections := p.words()
	return request{local: func(c *call) { c.w.Verbatim("txt", c.s.h.info(sections)) }}
}

// info writes the sections that are asked for, each once, in their usual order. A section that there is not is no error.
func (h *Handler) info(asked [][]byte) string {
	want := map[string]bool{}
	for _, a := range asked {
		want[lower(a)] = true
	}
	all := len(asked) == 0 || want["all"] || want["default"] || want["everything"]
	info, open, ever := h.backend.Info(), 0, int64(0)
	open, ever = h.counts()
	var b strings.Builder
	for _, s := range h.infoSections(&info, open, ever) {
		if !all && !want[strings.ToLower(s.name)] {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("# " + s.name + "\r\n")
		for _, f := range s.fields {
			b.WriteString(f.Name + ":" + oneLine(f.Value) + "\r\n")
		}
	}
	return b.String()
}

type infoSection struct {
	name   string
	fields []Field
}

func (h *Handler) infoSections(i *NodeInfo, open int, ever int64) []infoSection {
	uptime := max(int64(h.now().Sub(i.Started).Seconds()), 0)
	cluster := []Field{{"cluster_enabled", "0"}, number("nodes", i.Nodes), number("partitions", i.Partitions),
		number("partitions_led_here", i.Leaders), number("replicas_per_partition", i.Replicas), {"cluster_id", i.ClusterID}}
	return []infoSection{
		{"Server", []Field{
			{"redis_version", i.RedisVersion}, {i.Program + "_version", i.Version}, {"redis_mode", "standalone"},
			{"node_id", i.NodeID}, {"node_name", i.NodeName}, {"run_id", i.NodeID}, number("tcp_port", i.Port),
			number("cluster_port", i.ClusterPort), number("peer_port", i.PeerPort), number("admin_port", i.AdminPort),
			number("uptime_in_seconds", uptime), number("uptime_in_days", uptime/86400), {"arch_bits", "64"},
		}},
		{"Clients", []Field{number("connected_clients", open), number("maxclients", i.ClientsMax), {"blocked_clients", "0"}}},
		{"Memory", []Field{number("used_memory", i.MemoryBytes)}},
		{"Persistence", []Field{{"loading", "0"}, {"aof_enabled", "1"}, number("store_bytes", i.StoreBytes), number("log_bytes", i.LogBytes)}},
		{"Stats", []Field{number("total_connections_received", ever)}},
		{"Replication", []Field{{"role", "master"}, {"connected_slaves", "0"}, {"master_repl_offset", "0"}}},
		{"Cluster", append(cluster, i.Extra...)},
	}
}

func number[T int | int64](name string, v T) Field { return Field{name, fmt.Sprint(v)} }
