// Package config holds the settings of a server: what each is called, what it may be, what it costs, and where it comes
// from. One table (table.go) is the source of the flags, the environment variables, the file's keys, the example file and
// the README's table.
//
// A setting given as a flag wins over the environment, that over the file, and that over the default. All three spell a
// value the same way: whole numbers in the unit that the setting's name ends in. An environment variable that is empty
// counts as not set.
package config

import (
	"errors"
	"fmt"
	"time"
)

// Config is every setting, checked. The zero value is not usable: start from Default or Load.
type Config struct {
	File     string // where the settings file was read from; empty: none
	DataDir  string
	NodeName string   // empty: the node names itself after its host
	Join     []string // peer addresses of nodes to join; empty: this node starts a cluster of its own

	Listen        string
	ClusterListen string
	PeerListen    string
	AdminListen   string
	PprofRemote   bool

	RequirePass    string // empty: none
	ProtectedMode  bool
	ListenTLS      bool
	ClusterTLS     bool
	TLSCertFile    string
	TLSKeyFile     string
	TLSCACertFile  string
	TLSAuthClients string // no, optional or yes

	LogLevel  string // debug, info, warn or error
	LogFormat string // text or json

	ClientsMax           int
	IdleTimeout          time.Duration // 0: none
	WriteTimeout         time.Duration
	RequestTimeout       time.Duration
	ReplicaStaleness     time.Duration
	ShutdownTimeout      time.Duration
	RequestBytesMax      int64
	OutputBufferBytesMax int64
	PushBufferBytesMax   int64
	SubscriptionsMax     int
	NotifyKeyspaceEvents string
	InputBytesMax        int64 // of all connections together
	ReplyBytesMax        int64
	PipelineCommandsMax  int
	MultiCommandsMax     int
	MultiBytesMax        int64
	WatchesMax           int

	TransactionsMax       int // interactive ones, on this node
	TransactionTimeoutMax time.Duration
	TransactionBytesMax   int64
	TransactionRecord     time.Duration

	NameBytesMax       int
	ValueBytesMax      int64
	LockTTLMax         time.Duration
	LockWaitMax        time.Duration
	LockWaitersMax     int
	WaitersMax         int // of all locks that the node leads
	SequenceIdemWindow time.Duration
	ChangesRecentBytes int64 // of each partition that the node leads

	ScriptBytesMax        int
	ScriptStepsMax        int64
	ScriptTimeMax         time.Duration
	ScriptMemoryBytesMax  int64
	ScriptsMemoryBytesMax int64
	ScriptsCacheBytesMax  int64

	AdvertiseHost     string // empty: that of the listeners
	Zone              string
	Replication       int // how many replicas each partition of a new cluster has
	NodeDeadAfter     time.Duration
	SplitOps          int   // reads and writes per second from which a partition is split; 0: never
	SplitBytes        int64 // from which one is split; 0: never
	CopyBytes         int64 // per second, of new replicas
	ReplicaChangesMax int
	ClusterSecretFile string
	PeerTLSCertFile   string
	PeerTLSKeyFile    string
	PeerTLSCAFile     string

	Partitions    int // how many data partitions a new cluster starts with
	QueueOpsMax   int // per partition
	QueueBytesMax int64
	ClockBound    time.Duration
	ClockJumpMax  time.Duration

	HistoryRetention   time.Duration
	HistoryCollectRate int // versions per second
	HistoryHoldsMax    int
	HistoryHoldTTLMax  time.Duration

	MemtableBytes      int64
	BlockCacheBytes    int64
	LogSegmentBytes    int64
	CheckpointInterval time.Duration
	DiskReserveBytes   int64
}

// Default is the configuration when nothing is set.
func Default() *Config {
	c := new(Config)
	table(c)
	return c
}

// requestOverheadBytes is what a command needs beside one name and one value: its own name, options and framing.
const requestOverheadBytes = 4096

// validate checks what no single setting can see. Each setting alone was checked when it was read.
func (c *Config) validate() error {
	if least := c.ValueBytesMax + int64(c.NameBytesMax) + requestOverheadBytes; c.RequestBytesMax < least {
		return fmt.Errorf("request-bytes-max = %d: must be at least %d, so that one name and one value of the largest size "+
			"(name-bytes-max = %d, value-bytes-max = %d) fit", c.RequestBytesMax, least, c.NameBytesMax, c.ValueBytesMax)
	}
	if c.QueueBytesMax < c.RequestBytesMax {
		return fmt.Errorf("queue-bytes-max = %d: must be at least request-bytes-max = %d, so that the largest command can be queued",
			c.QueueBytesMax, c.RequestBytesMax)
	}
	return c.validateTLS()
}

// TLSClients are the values of tls-auth-clients.
const (
	TLSClientsNo       = "no"
	TLSClientsOptional = "optional"
	TLSClientsYes      = "yes"
)

func (c *Config) validateTLS() error {
	if c.ListenTLS || c.ClusterTLS {
		if c.TLSCertFile == "" || c.TLSKeyFile == "" {
			return errors.New("listen-tls and cluster-listen-tls need tls-cert-file and tls-key-file")
		}
	}
	if c.TLSAuthClients != TLSClientsNo && c.TLSCACertFile == "" {
		return fmt.Errorf("tls-auth-clients = %q: needs tls-ca-cert-file, the issuers of the clients' certificates", c.TLSAuthClients)
	}
	return nil
}
