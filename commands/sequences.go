package commands

import (
	"context"
	"math"

	"kahuna/op"
	"kahuna/resp"
	"kahuna/sequencer"
)

func sequenceRows() []Command {
	rows := []Command{}
	add := func(more ...Command) { rows = append(rows, more...) }
	add(keyed(1, 1, 1, "RW insert",
		Command{Name: "seqcreate", Arity: -2, Flags: "write denyoom fast", Syntax: "name [START start] [STEP step] [MIN min] [MAX max] [CYCLE]", parse: parseSeqCreate,
			Summary: "Makes a sequence. OK also if it exists with the same settings."})...)
	add(keyed(1, 1, 1, "RW access update",
		Command{Name: "seqnext", Arity: -2, Flags: "write denyoom fast", Syntax: "name [COUNT count] [IDEM key]", parse: parseSeqNext,
			Summary: "The next value; with COUNT a run of values: first, last and step. The same IDEM key gets the same answer again. A missing sequence is made with the defaults."},
		Command{Name: "seqset", Arity: -3, Flags: "write fast", Syntax: "name value [FORCE]", Summary: "Makes a value the last one given out; against the direction of the step only with FORCE.", parse: parseSeqSet},
	)...)
	add(keyed(1, 1, 1, "RO access",
		Command{Name: "seqget", Arity: 2, Flags: "readonly fast", Syntax: "name", Summary: "A sequence: a map of name, start, step, min, max, cycle, last (nil before the first value) and created; nil if there is none.", parse: parseSeqGet})...)
	add(keyed(1, 1, 1, "RM delete",
		Command{Name: "seqdel", Arity: 2, Flags: "write fast", Syntax: "name", Summary: "Deletes a sequence: 1 or 0.", parse: parseSeqDel})...)
	add(Command{Name: "seqscan", Arity: -2, Flags: "readonly", Syntax: "cursor [MATCH pattern] [COUNT count]", Complexity: scanComplexity,
		Summary: "The names of sequences, page by page, as SCAN.", parse: parseScan(op.SpaceSeq)},
		Command{Name: "timestamp", Arity: -1, Flags: "fast", Syntax: "[COUNT count]", parse: parseTimestamp,
			Summary: "A timestamp of the cluster's one order, unique and larger than every one before; with COUNT the first of so many, at most 4096."})
	for i := range rows {
		rows[i].KeySpace = op.SpaceSeq
	}
	return grouped("sequences", "sequence", rows)
}

func parseSeqCreate(p *parser) request {
	name, asked := p.name(), sequencer.Asked{}
	for p.more() {
		var setting **int64
		switch {
		case p.is("START"):
			setting = &asked.Start
		case p.is("STEP"):
			setting = &asked.Step
		case p.is("MIN"):
			setting = &asked.Min
		case p.is("MAX"):
			setting = &asked.Max
		case !asked.Cycle && p.is("CYCLE"):
			asked.Cycle = true
			continue
		}
		if setting == nil || *setting != nil {
			p.fail(errSyntax)
			break
		}
		v := p.int()
		*setting = &v
	}
	if asked.Step != nil && *asked.Step == 0 {
		p.fail(errStepZero)
	}
	return one(&op.SeqCreate{Name: name, SeqSettings: asked.Settings()}, replyOK)
}

func parseSeqNext(p *parser) request {
	o := &op.SeqNext{Name: p.name(), Count: 1}
	count := false
	for p.more() {
		switch {
		case !count && p.is("COUNT"):
			count, o.Count = true, uint32(p.positive(math.MaxUint32))
		case o.Idem == nil && p.is("IDEM"):
			o.Idem, o.IdemMilli = p.name(), p.h.limits.IdemMilli
		default:
			p.fail(errSyntax)
		}
	}
	if !count {
		return one(o, replyInt)
	}
	return one(o, func(w *resp.Writer, a answer) {
		w.Array(3)
		w.Int(a.first().Int)
		w.Int(a.first().Last)
		w.Int(a.first().Step)
	})
}

func parseSeqSet(p *parser) request {
	o := &op.SeqSet{Name: p.name(), Value: p.int(), Force: p.is("FORCE")}
	p.end()
	return one(o, replyOK)
}

func parseSeqDel(p *parser) request { return one(&op.SeqDelete{Name: p.name()}, replyDone) }

func parseSeqGet(p *parser) request {
	name := p.name()
	return one(&op.SeqGet{Name: name}, func(w *resp.Writer, a answer) {
		if !a.first().Found || a.first().Seq == nil {
			w.Null()
			return
		}
		writeSeq(w, name, a.first().Seq)
	})
}

func writeSeq(w *resp.Writer, name []byte, s *op.SeqState) {
	w.Map(8)
	w.BulkString("name")
	w.Bulk(name)
	for _, f := range []struct {
		name  string
		value int64
	}{{"start", s.Start}, {"step", s.Step}, {"min", s.Min}, {"max", s.Max}} {
		w.BulkString(f.name)
		w.Int(f.value)
	}
	w.BulkString("cycle")
	w.Bool(s.Cycle)
	w.BulkString("last")
	if s.Started {
		w.Int(s.Last)
	} else {
		w.Null()
	}
	w.BulkString("created")
	w.Uint(uint64(s.Created))
}

func parseTimestamp(p *parser) request {
	n := int64(1)
	if p.is("COUNT") {
		if n = p.int(); n < 1 || n > timestampsMax {
			p.fail(errTimestamps)
		}
	}
	p.end()
	return request{run: func(ctx context.Context, c *call) error {
		ts, err := c.s.h.backend.Timestamps(ctx, int(n))
		if err == nil {
			c.w.Uint(uint64(ts))
		}
		return err
	}}
}
