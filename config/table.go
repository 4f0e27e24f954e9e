package config

import "time"

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30

	day = 24 * time.Hour
)

// table binds every setting to its field of c and gives the field its default. It is the only place where a setting is
// named, limited, defaulted and explained.
func table(c *Config) []section {
	sections := []section{
		{"Where things are", places(c)},
		{"Listeners", listeners(c)},
		{"Passwords and TLS", security(c)},
		{"Logging", logging(c)},
		{"Clients", clients(c)},
		{"Transactions", transactions(c)},
		{"Names, values, locks and sequences", data(c)},
		{"Scripts", scripts(c)},
		{"Partitions and the clock", partitions(c)},
		{"The cluster", clusterSettings(c)},
		{"History", history(c)},
		{"Storage", storage(c)},
	}
	for _, s := range sections {
		for i := range s.settings {
			if row := &s.settings[i]; !row.NotFile {
				row.Default = row.value.literal()
			}
		}
	}
	return sections
}

func places(c *Config) []Setting {
	return []Setting{
		{Key: "config", NotFile: true, value: path(&c.File, ""),
			Help: "The settings file (TOML). Not read unless named."},
		{Key: "data-dir", value: path(&c.DataDir, "./kahuna-data"),
			Help: "Directory of all data of this node, made when it is not there. One process at a time. The speed of its " +
				"disk's fsync bounds how fast writes are acknowledged."},
		{Key: "node-name", value: nodeName(&c.NodeName),
			Help: "Name of this node, for people. Empty: the name of the host."},
		{Key: "join", value: addresses(&c.Join),
			Help: "Peer addresses of nodes of the cluster to join. Empty: a new data directory starts a cluster of its own; " +
				"one that already belongs to a cluster needs no list, and ignores it."},
	}
}

func listeners(c *Config) []Setting {
	return []Setting{
		{Key: "listen", value: address(&c.Listen, "127.0.0.1:6379"),
			Help: "Where clients of the Redis protocol connect. Every command is answered here, from any client."},
		{Key: "cluster-listen", value: address(&c.ClusterListen, "127.0.0.1:6380"),
			Help: "Where cluster-aware clients connect: answers MOVED for what another node leads, and those clients follow it. Others use listen."},
		{Key: "peer-listen", value: address(&c.PeerListen, "127.0.0.1:6381"),
			Help: "Where the other nodes connect."},
		{Key: "admin-listen", value: address(&c.AdminListen, "127.0.0.1:6382"),
			Help: "HTTP: /livez, /readyz, /metrics, /debug/pprof. No passwords here: keep it where only operators reach it."},
		{Key: "pprof-remote", value: boolean(&c.PprofRemote, false),
			Help: "Serve /debug/pprof even when admin-listen is not on loopback. Whoever reaches it can read memory and slow " +
				"the server down by profiling."},
	}
}

func security(c *Config) []Setting {
	return []Setting{
		{Key: "requirepass", value: secret(&c.RequirePass),
			Help: "Password of the default user. Empty: none. Once the cluster has stored rules of that user (ACL SETUSER default, CONFIG SET " +
				"requirepass), those count instead. As a flag it shows in the list of processes: prefer the file or the environment."},
		{Key: "protected-mode", value: boolean(&c.ProtectedMode, true),
			Help: "Serve only clients of this machine as long as the default user needs no password. false: whoever reaches listen or " +
				"cluster-listen can change everything."},
		{Key: "listen-tls", value: boolean(&c.ListenTLS, false),
			Help: "Speak TLS on listen, and nothing else there."},
		{Key: "cluster-listen-tls", value: boolean(&c.ClusterTLS, false),
			Help: "Speak TLS on cluster-listen, and nothing else there."},
		{Key: "tls-cert-file", value: filePath(&c.TLSCertFile),
			Help: "Certificate that clients see, and those that lead to its issuer, as PEM. A changed file counts from the next connection on."},
		{Key: "tls-key-file", value: filePath(&c.TLSKeyFile),
			Help: "Private key of the certificate, as PEM."},
		{Key: "tls-ca-cert-file", value: filePath(&c.TLSCACertFile),
			Help: "Certificates of those who may issue certificates of clients, as PEM."},
		{Key: "tls-auth-clients", value: choice(&c.TLSAuthClients, TLSClientsNo, TLSClientsNo, TLSClientsOptional, TLSClientsYes),
			Help: "yes: a client must have a certificate; optional: if it has one, that must be good; no: none is asked for."},
	}
}

func logging(c *Config) []Setting {
	return []Setting{
		{Key: "log-level", value: choice(&c.LogLevel, "info", "debug", "info", "warn", "error"),
			Help: "The least important lines to log, on standard error. debug costs a few lines per connection and election."},
		{Key: "log-format", value: choice(&c.LogFormat, "text", "text", "json"),
			Help: "text for people, json (one object per line) for collectors."},
	}
}

func clients(c *Config) []Setting {
	return []Setting{
		{Key: "clients-max", value: integer(&c.ClientsMax, 10000, 1, 1000000),
			Help: "Client connections at a time; one more is told so and closed. Each costs about 16 KiB and a file " +
				"descriptor: see that the process may open that many."},
		{Key: "idle-timeout-ms", value: milliseconds(&c.IdleTimeout, 0, 0, 365*day),
			Help: "Close a connection that has been silent for so many milliseconds. 0: never."},
		{Key: "write-timeout-ms", value: milliseconds(&c.WriteTimeout, time.Minute, time.Second, day),
			Help: "Close a connection that takes none of its reply for so many milliseconds. Until then its reply is held in " +
				"memory."},
		{Key: "request-timeout-ms", value: milliseconds(&c.RequestTimeout, 5*time.Second, 100*time.Millisecond, time.Hour),
			Help: "How many milliseconds a command may wait for a leader or a full queue before it answers an error. Longer " +
				"hides longer elections from clients; commands that wait hold memory."},
		{Key: "replica-staleness-ms-max", value: milliseconds(&c.ReplicaStaleness, 5*time.Second, 100*time.Millisecond, time.Hour),
			Help: "How old, in milliseconds, what a replica answers on the cluster port after READONLY may be at most; what would be older is " +
				"asked of the leader. Less has replicas ask their leaders more often, four times within it, while they are read from."},
		{Key: "shutdown-timeout-ms", value: milliseconds(&c.ShutdownTimeout, 10*time.Second, 0, time.Hour),
			Help: "How many milliseconds running commands get to end when the server is told to stop. What has not ended by " +
				"then is cut off, its end unknown to its client."},
		{Key: "request-bytes-max", value: integer[int64](&c.RequestBytesMax, 16*mib, 64*kib, 512*mib),
			Help: "Size in bytes of one command with all its arguments. A connection may hold that much memory while it " +
				"sends one."},
		{Key: "output-buffer-bytes-max", value: integer[int64](&c.OutputBufferBytesMax, 256*mib, 64*kib, 4*gib),
			Help: "Bytes of replies that may wait for one connection to take them; beyond it, it is closed. A connection may " +
				"hold that much memory."},
		{Key: "push-buffer-bytes-max", value: integer[int64](&c.PushBufferBytesMax, 32*mib, 64*kib, 4*gib),
			Help: "Bytes of messages (pub/sub, MONITOR) that may wait for one connection to take them; beyond it, it is closed. " +
				"A subscriber that reads too slowly may hold that much memory."},
		{Key: "notify-keyspace-events", value: eventClasses(&c.NotifyKeyspaceEvents),
			Help: "Which changes of keys are published, in Redis's letters: K to __keyspace@0__, E to __keyevent@0__, and g (del, expire), $ (set), " +
				"x (expired), h, or A for all. Told at most once, by the node that leads the key: set it on all nodes. Empty: none, which costs nothing."},
		{Key: "subscriptions-max", value: integer(&c.SubscriptionsMax, 10000, 1, 1000000),
			Help: "Channels and patterns that one connection may be subscribed to at a time. Each pattern is matched with every " +
				"message."},
		{Key: "input-bytes-max", value: integer[int64](&c.InputBytesMax, 1*gib, 16*mib, 256*gib),
			Help: "Bytes of commands that all connections together may hold in memory before they are run; a command that " +
				"finds no room is refused."},
		{Key: "reply-bytes-max", value: integer[int64](&c.ReplyBytesMax, 256*mib, 64*kib, 2*gib),
			Help: "Size in bytes of one reply that gathers many values (MGET, KEYS); a larger one is an error instead. A " +
				"command may hold that much memory."},
		{Key: "multi-commands-max", value: integer(&c.MultiCommandsMax, 10000, 1, 1000000),
			Help: "Commands between MULTI and EXEC; one more is an error, and EXEC then fails."},
		{Key: "multi-bytes-max", value: integer[int64](&c.MultiBytesMax, 64*mib, 64*kib, 2*gib),
			Help: "Bytes of all arguments between MULTI and EXEC. A connection may hold that much memory."},
		{Key: "watches-max", value: integer(&c.WatchesMax, 4096, 1, 1000000),
			Help: "Keys that one connection may WATCH at a time. Each is checked again at EXEC."},
		{Key: "pipeline-commands-max", value: integer(&c.PipelineCommandsMax, 1024, 1, 65536),
			Help: "How many commands of one connection are worked on at a time; the rest waits in its socket. More is faster " +
				"for deep pipelines and less fair to others."},
	}
}

func transactions(c *Config) []Setting {
	return []Setting{
		{Key: "transactions-max", value: integer(&c.TransactionsMax, 1024, 1, 100000),
			Help: "Transactions of BEGIN that may be open on this node at a time; beyond it BEGIN answers TRYAGAIN. Each may hold " +
				"transaction-bytes-max of memory."},
		{Key: "transaction-timeout-ms-max", value: milliseconds(&c.TransactionTimeoutMax, 5*time.Minute, time.Second, 5*time.Minute),
			Help: "The longest TIMEOUT in milliseconds that BEGIN takes. A PESSIMISTIC transaction that is left open makes others " +
				"wait for so long."},
		{Key: "transaction-bytes-max", value: integer[int64](&c.TransactionBytesMax, 64*mib, 64*kib, 2*gib),
			Help: "Bytes of memory for what one transaction has read and will write. More allows larger transactions."},
		{Key: "transaction-record-ms", value: milliseconds(&c.TransactionRecord, 15*time.Minute, 10*time.Minute, day),
			Help: "For how many milliseconds after its BEGIN TXNSTATUS can tell what became of a transaction. Each is kept on disk " +
				"that long."},
	}
}

func data(c *Config) []Setting {
	return []Setting{
		{Key: "name-bytes-max", value: integer(&c.NameBytesMax, 8*kib, 64, 8*kib),
			Help: "Size in bytes of a name: key, lock, sequence or owner."},
		{Key: "value-bytes-max", value: integer[int64](&c.ValueBytesMax, 4*mib, 1*kib, 4*mib),
			Help: "Size in bytes of a value. Large values delay the small ones behind them."},
		{Key: "lock-ttl-ms-max", value: milliseconds(&c.LockTTLMax, 30*day, time.Second, 3650*day),
			Help: "The longest lease in milliseconds that LOCK and LOCKEXTEND take. A holder that dies blocks the lock for " +
				"the rest of its lease."},
		{Key: "lock-wait-ms-max", value: milliseconds(&c.LockWaitMax, day, time.Second, 30*day),
			Help: "The longest time in milliseconds that the WAIT of a LOCK takes."},
		{Key: "lock-waiters-max", value: integer(&c.LockWaitersMax, 16384, 1, 1<<20),
			Help: "Owners that may wait for one lock at a time; one more is told TRYAGAIN. Each costs under a kilobyte beside its " +
				"connection, and one who waits behind so many waits long."},
		{Key: "waiters-max", value: integer(&c.WaitersMax, 65536, 1, 1<<24),
			Help: "Owners that may wait for all locks that this node leads; one more is told TRYAGAIN."},
		{Key: "sequence-idem-window-ms", value: milliseconds(&c.SequenceIdemWindow, day, time.Minute, 365*day),
			Help: "For how many milliseconds SEQNEXT ... IDEM gives the same key the same answer. Each key is kept on disk " +
				"that long."},
		{Key: "changes-recent-bytes", value: integer[int64](&c.ChangesRecentBytes, mib, 64*kib, gib),
			Help: "Bytes of memory that each partition led here keeps of which names have changed lately, while anybody reads " +
				"changes (KCHANGES) there. Readers who are further behind go through all names with their prefix."},
	}
}

func scripts(c *Config) []Setting {
	return []Setting{
		{Key: "script-bytes-max", value: integer(&c.ScriptBytesMax, 512*kib, 1*kib, 1000*kib),
			Help: "Size in bytes of the text of a Lua script (EVAL, SCRIPT LOAD)."},
		{Key: "script-steps-max", value: integer[int64](&c.ScriptStepsMax, 50_000_000, 1000, 10_000_000_000),
			Help: "How many steps a script may take: instructions of Lua, and 100 for each command. One that takes more is " +
				"stopped, and nothing of it has happened."},
		{Key: "script-time-ms-max", value: milliseconds(&c.ScriptTimeMax, time.Second, time.Millisecond, time.Minute),
			Help: "For how many milliseconds a script may run, as script-steps-max. Longer ones hold a processor, and lose " +
				"more often to others that change the same keys."},
		{Key: "script-memory-bytes-max", value: integer[int64](&c.ScriptMemoryBytesMax, 64*mib, 1*mib, 4*gib),
			Help: "How many bytes a script may allocate from its beginning to its end, as script-steps-max."},
		{Key: "scripts-memory-bytes-max", value: integer[int64](&c.ScriptsMemoryBytesMax, 512*mib, 1*mib, 64*gib),
			Help: "How many bytes all scripts that run at a time may have allocated. One that needs more is stopped."},
		{Key: "scripts-cache-bytes-max", value: integer[int64](&c.ScriptsCacheBytesMax, 16*mib, 1*mib, 4*gib),
			Help: "Memory in bytes for compiled scripts. Those not used for longest are dropped; EVALSHA still finds them in " +
				"the cluster."},
	}
}

func partitions(c *Config) []Setting {
	return []Setting{
		{Key: "partitions", value: integer(&c.Partitions, 2, 1, 1024),
			Help: "How many data partitions a new cluster starts with; of no effect later. A few per core spread the load; " +
				"each costs memory and makes log entries smaller, so slower per write."},
		{Key: "queue-ops-max", value: integer(&c.QueueOpsMax, 16384, 16, 1<<20),
			Help: "Writes that may wait in one partition for the log; beyond it they answer TRYAGAIN. More hides bursts and " +
				"lengthens the wait."},
		{Key: "queue-bytes-max", value: integer[int64](&c.QueueBytesMax, 64*mib, 1*mib, 4*gib),
			Help: "Bytes of writes that may wait in one partition for the log; beyond it they answer TRYAGAIN. Each " +
				"partition may hold that much memory."},
		{Key: "clock-bound-ms", value: milliseconds(&c.ClockBound, 3*time.Second, 100*time.Millisecond, time.Minute),
			Help: "How many milliseconds ahead the global clock's upper bound is stored. After a restart timestamps go on " +
				"above it, so they jump ahead by up to that much; less costs more log entries."},
		{Key: "clock-jump-ms-max", value: milliseconds(&c.ClockJumpMax, 366*day, time.Minute, 3650*day),
			Help: "Refuse to lead the global clock while the wall clock is more milliseconds ahead of the stored bound than " +
				"this, as time can't be turned back. Must be more than the longest time that the cluster is ever down."},
	}
}

func clusterSettings(c *Config) []Setting {
	return []Setting{
		{Key: "advertise-host", value: host(&c.AdvertiseHost),
			Help: "The host name or address under which the other nodes and cluster-aware clients reach this node. Empty: those of the " +
				"listeners, which must then not stand for all addresses of the machine, unless the node stays alone."},
		{Key: "zone", value: nodeName(&c.Zone),
			Help: "Where this node stands: a rack, a data centre. Replicas of a partition are kept in different zones where possible."},
		{Key: "replication-factor", value: integer(&c.Replication, 3, 1, 9),
			Help: "On how many nodes a new cluster keeps each partition, as far as it has so many. A majority must be up: 3 survive the " +
				"loss of one node, 5 of two. Each more costs its share of CPU, network and disk for every write."},
		{Key: "node-dead-after-ms", value: milliseconds(&c.NodeDeadAfter, 5*time.Minute, 5*time.Second, 30*day),
			Help: "After how many milliseconds of silence a node's replicas are made anew on others. Shorter survives a second loss sooner; " +
				"longer spares the copying when a node is only restarted."},
		{Key: "split-ops-per-second", value: integer(&c.SplitOps, 20000, 0, 1<<30),
			Help: "Reads and writes per second, for a minute, from which a partition is split where that halves them, if there are other " +
				"nodes. Fewer spread load sooner; each partition costs memory and makes log entries smaller. 0: never."},
		{Key: "split-bytes", value: integer[int64](&c.SplitBytes, 512*mib, 0, 1024*gib),
			Help: "Bytes in the store from which a partition is split in two. Smaller ones are copied and moved in less time. 0: never."},
		{Key: "copy-bytes-per-second", value: integer[int64](&c.CopyBytes, 64*mib, 1*mib, 16*gib),
			Help: "How many bytes of new replicas are begun to be copied, in the whole cluster, for each second: ten seconds' worth may be " +
				"on its way, or one replica. More repairs sooner, and leaves less of network and disks for clients."},
		{Key: "replica-changes-max", value: integer(&c.ReplicaChangesMax, 64, 1, 4096),
			Help: "Partitions whose replicas may change at a time, in the whole cluster; half of them are kept for repairs."},
		{Key: "cluster-secret-file", value: filePath(&c.ClusterSecretFile),
			Help: "A file with the secret that all nodes of the cluster share, at least 16 bytes. Required when peer-listen is not on " +
				"loopback, unless TLS is used between nodes. It proves who belongs to the cluster, and encrypts nothing."},
		{Key: "peer-tls-cert-file", value: filePath(&c.PeerTLSCertFile),
			Help: "Certificate (PEM) of this node for the connections between nodes. With it, every node must have one that peer-tls-ca-file " +
				"vouches for and that fits its advertised host. Read again for each connection, so it can be replaced while the node runs."},
		{Key: "peer-tls-key-file", value: filePath(&c.PeerTLSKeyFile),
			Help: "Private key (PEM) of peer-tls-cert-file."},
		{Key: "peer-tls-ca-file", value: filePath(&c.PeerTLSCAFile),
			Help: "Certificates (PEM) of those who vouch for nodes. Use an authority that signs for this cluster only: whoever has a " +
				"certificate of it is a member."},
	}
}

func history(c *Config) []Setting {
	return []Setting{
		// Longer than any transaction lives, so that none finds its snapshot collected.
		{Key: "history-retention-ms", value: milliseconds(&c.HistoryRetention, day, 10*time.Minute, 3650*day),
			Help: "For how many milliseconds old versions and deletions are kept, to be read ASOF; at least 10 minutes, which " +
				"no transaction outlives. Every overwritten value takes disk space for that long. SNAPSHOT HOLD keeps more."},
		{Key: "history-collect-versions-per-second", value: integer(&c.HistoryCollectRate, 20000, 100, 10000000),
			Help: "How many old versions a node may collect in a second. It should be well above the overwrites and " +
				"deletions per second of an average day: below it the store grows. More takes more from the writes of users."},
		{Key: "history-holds-max", value: integer(&c.HistoryHoldsMax, 1000, 1, 5000),
			Help: "How many SNAPSHOT HOLDs there may be at a time, in the whole cluster. Changing one writes all of them."},
		{Key: "history-hold-ttl-ms-max", value: milliseconds(&c.HistoryHoldTTLMax, 7*day, time.Second, 3650*day),
			Help: "The longest time in milliseconds that SNAPSHOT HOLD and RENEW take. A hold that is forgotten keeps all " +
				"versions of that time on disk."},
	}
}

func storage(c *Config) []Setting {
	return []Setting{
		{Key: "memtable-bytes", value: integer[int64](&c.MemtableBytes, 32*mib, 32*mib, 1*gib),
			Help: "Size in bytes of one memory table of the store. Up to four of them are in memory under load; fewer bytes " +
				"mean more compaction, and smaller transactions, as one may have 15 % of it."},
		{Key: "block-cache-bytes", value: integer[int64](&c.BlockCacheBytes, 0, 0, 256*gib),
			Help: "Bytes of memory for blocks of the store's tables. 0: none. The tables are mapped into memory, so that a " +
				"cache saves no more than checking a block again."},
		{Key: "log-segment-bytes", value: integer[int64](&c.LogSegmentBytes, 64*mib, 8*mib, 1*gib),
			Help: "Size in bytes of one file of the log. The log shrinks by whole files; larger ones keep more on disk, and " +
				"the next one is always made in advance."},
		{Key: "checkpoint-interval-ms", value: milliseconds(&c.CheckpointInterval, 10*time.Second, time.Second, time.Hour),
			Help: "Milliseconds between the points up to which the store is made durable and the log may go. Longer means " +
				"less disk work, more log on disk, and more to replay after a crash."},
		{Key: "disk-reserve-bytes", value: integer[int64](&c.DiskReserveBytes, 256*mib, 0, 1024*gib),
			Help: "Refuse writes while less than so many bytes are free on the disk of data-dir. Reads go on. Too few, and a " +
				"full disk ends the process in the middle of a write."},
	}
}
