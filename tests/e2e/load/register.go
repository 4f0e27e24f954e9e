package load

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"kahuna/tests/e2e/wire"
)

// version is what may be stored under a key.
type version struct {
	absent   bool
	value    string
	revision int64 // 0: not known
}

// register is a key that one client writes with KSET, SET and, some of them, KDEL. candidates are all versions that may be the
// stored one; there is always at least one. An acknowledged write leaves only its own: an unknown one before it ended the
// connection or has its place in the log in front of it.
type register struct {
	world      *World
	key        string
	deletes    bool
	candidates []version
	revision   int64 // largest known
	unknown    int64 // writes since then that may have made a revision
}

func (g *register) write(stamp string, r *rand.Rand) *step {
	if g.deletes && r.IntN(3) == 0 {
		return &step{[][]string{{"KDEL", g.key}}, g.deleted}
	}
	value := stamp + strings.Repeat("=", r.IntN(200))
	if r.IntN(2) == 0 {
		return &step{[][]string{{"SET", g.key, value}}, func(end outcome, _ *wire.Reply) { g.written(end, value, 0) }}
	}
	return &step{[][]string{{"KSET", g.key, value}}, func(end outcome, reply *wire.Reply) {
		if end != acked {
			g.written(end, value, 0)
			return
		}
		g.checkRevision(reply.Int)
		g.written(end, value, reply.Int)
	}}
}

func (g *register) checkRevision(revision int64) {
	if low, high := g.revision+1, g.revision+g.unknown+1; !g.deletes && (revision < low || revision > high) {
		g.world.violate("KSET %s answers revision %d, where %d to %d was to be expected", g.key, revision, low, high)
	}
}

func (g *register) written(end outcome, value string, revision int64) {
	switch end {
	case acked:
		g.candidates = []version{{value: value, revision: revision}}
		g.unknown++
		if revision > 0 {
			g.revision, g.unknown = revision, 0
		}
	case unknown:
		g.candidates = append(g.candidates, version{value: value})
		g.unknown++
	}
}

func (g *register) deleted(end outcome, _ *wire.Reply) {
	switch end {
	case acked:
		g.candidates = []version{{absent: true}}
	case unknown:
		g.candidates = append(g.candidates, version{absent: true})
	}
}

// check reads the key and narrows what it may be to what it is.
func (g *register) check(c *wire.Conn, fixed bool) error {
	r, err := c.Do("KGET", g.key, "META")
	if err != nil {
		return err
	}
	found := version{absent: r.Nil()}
	if !found.absent {
		if r.Field("value") == nil || r.Field("revision") == nil {
			g.world.violate("KGET %s META answers %v", g.key, r)
			return nil
		}
		found.value, found.revision = r.Field("value").Text, r.Field("revision").Int
	}
	if !slices.ContainsFunc(g.candidates, func(v version) bool { return v.matches(found) }) {
		g.world.violate("%s holds %s, which is none of %s", g.key, found, describe(g.candidates))
	}
	if low, high := g.revision, g.revision+g.unknown; !g.deletes && !found.absent && (found.revision < low || found.revision > high) {
		g.world.violate("%s has revision %d, where %d to %d was to be expected", g.key, found.revision, low, high)
	}
	if !fixed {
		g.candidates, g.revision, g.unknown = []version{found}, found.revision, 0
	}
	return nil
}

func (v version) matches(found version) bool {
	return v.absent == found.absent && v.value == found.value && (v.revision == 0 || v.revision == found.revision)
}

func (v version) String() string {
	if v.absent {
		return "nothing"
	}
	return strconv.Quote(strings.TrimRight(v.value, "=")) + " revision " + strconv.FormatInt(v.revision, 10)
}

func describe(all []version) string {
	var parts []string
	for _, v := range all {
		parts = append(parts, v.String())
	}
	return strings.Join(parts, " or ")
}
