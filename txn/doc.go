// Package txn is the participant's side of transactions: what a partition does with prewrites, checks, decisions and
// resolutions, and the transaction's record at its home name.
//
// The record is the transaction's one truth: absent, pending, committed at a timestamp, or aborted.
//
//  1. pending -> committed happens only in Decide, before the deadline; pending -> aborted and absent -> aborted only in
//     Settle. Both are entries in the home partition's log, so exactly one of them wins.
//     In a transaction whose operations are known beforehand the record is made in the entry that commits it: absent -> committed
//     happens only in Commit, before the deadline.
//  2. A home prewrite or Commit that finds any record is refused: somebody who met an intent before the record was there has ended the
//     transaction.
//  3. Intents turn to versions only when the record says committed, and are removed only when it says aborted.
//
// Source: Percolator (Peng and Dabek, 2010), with deadlines on the cluster's clock instead of lock timeouts.
package txn
