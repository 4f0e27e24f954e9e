// Package commands is what a client can say and what it hears: the command table, the parsing of arguments, the sessions
// with their MULTI queue and watches, the replies, and the one table of errors.
//
// A command is a row of data (Command). Its parse function turns arguments to a request, which is one of
//
//   - operations (op.Op) and a function that writes their results as a reply. Such requests are gathered: what a client
//     pipelined goes to the Backend in one call. Several operations of one request take effect at one point.
//   - local: an answer that needs no partition (PING, CLIENT ID).
//   - run: several steps (SCAN, RENAME, KEYS). It works through a Doer, and so runs the same on the partitions and inside a
//     transaction.
//
// Inside MULTI requests are queued instead. EXEC gives them to Backend.Atomic when all are operations, else it runs them in
// order in one Backend.Transact.
//
// The package reads no clock and no randomness of its own; both come with Options. It imports no network package: server owns
// the connections and calls Session.Serve.
package commands
