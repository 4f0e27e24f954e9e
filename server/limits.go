package server

// Hard bounds of the request format, whatever a session allows. The first three are Redis's.
const (
	argsMax              = 1 << 20   // arguments of one command
	bulkBytesMax         = 512 << 20 // one argument
	lineBytesMax         = 64 << 10  // an inline command, or a line that announces a length
	unauthArgsMax        = 10
	unauthBulkBytesMax   = 16 << 10
	skipBytesMax         = 64 << 20 // a refused command that is longer closes the connection
	defaultBulkBytes     = 8 << 20
	defaultPipeline      = 1024
	defaultPipelineBytes = 1 << 20
)

// Limits are what a session allows its client to send. The server asks before each batch. A field that is 0 has the
// default named with it.
type Limits struct {
	// Unauthenticated clients may send 10 arguments of 16 KiB, as in Redis, and one command at a time, so that AUTH
	// and what is pipelined behind it are judged by the right limits. They have Config.AuthTimeout to authenticate.
	Unauthenticated bool
	// KeepIdle: Config.IdleTimeout does not apply (a subscriber).
	KeepIdle bool
	// Args is the largest number of arguments of a command, the name included; 1,048,576.
	Args int
	// BulkBytes is the largest argument; 8 MiB, at most 512 MiB. A larger one is read and thrown away, and its command
	// arrives with Refused set.
	BulkBytes int
	// BulkNamedBytes is the number an error names for BulkBytes, when that has some slack above a documented limit.
	BulkNamedBytes int
	// RequestBytes is the largest command on the wire, all arguments together; Config.MaxRequestBytes.
	RequestBytes int
	// PipelineCommands and PipelineBytes end a batch; 1,024 and 1 MiB. The command that reaches PipelineBytes is part
	// of the batch.
	PipelineCommands int
	PipelineBytes    int
}

// settled fills in defaults and hard bounds.
func (l Limits) settled(requestBytes int) Limits {
	l.Args = bounded(l.Args, argsMax, argsMax)
	l.BulkBytes = bounded(l.BulkBytes, defaultBulkBytes, bulkBytesMax)
	if l.BulkNamedBytes <= 0 {
		l.BulkNamedBytes = l.BulkBytes
	}
	l.RequestBytes = bounded(l.RequestBytes, requestBytes, requestBytes)
	l.PipelineCommands = bounded(l.PipelineCommands, defaultPipeline, argsMax)
	l.PipelineBytes = bounded(l.PipelineBytes, defaultPipelineBytes, bulkBytesMax)
	if l.Unauthenticated {
		l.PipelineCommands = 1
	}
	return l
}

// bounded is the value, the default if it is not positive, and never above the bound.
func bounded(value, byDefault, bound int) int {
	if value <= 0 {
		value = byDefault
	}
	return min(value, bound)
}
