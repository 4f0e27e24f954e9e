package placement

import (
	"kahuna/fsm"
	"kahuna/op"
)

// view is State and Reports brought together, with nodes as places in State.Nodes. It is made in one walk over both.
type view struct {
	s      *State
	limits Limits
	index  map[string]int // places of nodes by id
	nodes  []node
	groups []group // as State.Ranges, and the meta group at the end
	zones  int     // of all nodes
	open   int     // zones with a node that takes replicas
	mean   mean
}

// node is a node with what it has. Counts follow the steps as they are planned.
type node struct {
	id       string
	live     bool
	dead     bool
	active   bool // takes replicas, if it is live
	left     bool
	zone     int
	addr     string
	full     bool  // its disk is
	fresh    bool  // it has begun lately to lead something, the load of which is not known yet
	fills    int   // replicas that it is receiving
	filling  int64 // bytes of them
	reported int   // ranges' replicas that it says it has
	weight   int64 // of the replicas that it is wanted for
	leads    int64 // weight of what it leads
}

func newView(s *State, r Reports, now op.Timestamp, limits Limits) *view {
	v := &view{s: s, limits: limits, index: make(map[string]int, len(s.Nodes)), nodes: make([]node, len(s.Nodes))}
	zones := map[string]int{}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		v.index[n.ID] = i
		zone, ok := zones[n.Zone]
		if !ok {
			zone = len(zones)
			zones[n.Zone] = zone
		}
		report, known := r[n.ID]
		own := 0
		for j := range report.Replicas {
			own += number(report.Replicas[j].Range != fsm.Meta)
		}
		v.nodes[i] = node{id: n.ID, zone: zone, addr: n.PeerAddr, reported: own, active: n.Status == Active, left: n.Status == Left,
			live: known && report.live(limits), dead: known && report.Age >= limits.DeadAfter, full: report.full()}
	}
	v.zones = len(zones)
	taken := make([]bool, v.zones)
	for i := range v.nodes {
		if n := &v.nodes[i]; n.live && n.active && !taken[n.zone] {
			taken[n.zone] = true
			v.open++
		}
	}
	v.addGroups(best(s, r, limits))
	v.weigh()
	v.cool(now)
	return v
}

// best picks the report to believe for each group: that of the leader of the highest term, or else the newest follower's. What a
// node that is not live said is not believed.
func best(s *State, r Reports, limits Limits) map[uint32]*source {
	found := make(map[uint32]*source, len(s.Ranges)+1)
	all := make([]source, 0, len(s.Ranges)+1)
	for i := range s.Nodes {
		report, known := r[s.Nodes[i].ID]
		if !known || !report.live(limits) || s.Nodes[i].Status == Left {
			continue
		}
		for j := range report.Replicas {
			next := source{&report.Replicas[j], i}
			switch old := found[next.Range]; {
			case old != nil && next.newer(old):
				*old = next
			case old == nil && len(all) < cap(all): // more are of partitions that are not in the State
				all = append(all, next)
				found[next.Range] = &all[len(all)-1]
			}
		}
	}
	return found
}

// source is a report on a replica and the place of the node that gave it.
type source struct {
	*ReplicaReport
	node int
}

func (a *source) newer(b *source) bool {
	switch {
	case a.Leads != b.Leads:
		return a.Leads
	case a.Term != b.Term:
		return a.Term > b.Term
	}
	return a.Applied > b.Applied
}

func (v *view) addGroups(reports map[uint32]*source) {
	v.groups = make([]group, len(v.s.Ranges)+1)
	takers := v.count(func(n *node) bool { return n.active })
	alive := v.count(func(n *node) bool { return n.active && !n.dead })
	places := make([]int, 0, 3*len(v.groups))
	peers := make([]peer, 0, 3*len(v.groups))
	add := func(g *group, id uint32, want, least int, wanted []string) {
		*g = group{id: id, want: want, least: max(1, least), leader: -1}
		from := len(places)
		for _, id := range wanted {
			places = append(places, v.place(id))
		}
		g.wanted = places[from:len(places):len(places)]
		if report := reports[id]; report != nil {
			from := len(peers)
			peers = v.appendConf(peers, report)
			g.conf = peers[from:len(peers):len(peers)]
			if report.Leads {
				g.leader, g.load = report.node, report.ReplicaReport
			}
		}
	}
	for i := range v.s.Ranges {
		r := &v.s.Ranges[i]
		want := r.Replication
		if want == 0 {
			want = v.s.Replication
		}
		add(&v.groups[i], r.ID, min(want, takers), min(want, alive), r.Replicas)
	}
	add(v.meta(), fsm.Meta, odd(min(MaxMetaVoters, max(takers, 1))), odd(min(MaxMetaVoters, max(alive, 1))), v.s.MetaVoters)
}

func (v *view) place(id string) int {
	if i, ok := v.index[id]; ok {
		return i
	}
	return -1
}

func (v *view) appendConf(peers []peer, report *source) []peer {
	for i := range report.Members {
		m := &report.Members[i]
		p := peer{node: v.place(m.ID), voter: m.Voter, live: true}
		if self := p.node == report.node; report.Leads {
			p.live, p.caughtUp = m.Live || self, m.CaughtUp || self
		}
		p.live = p.live && p.node >= 0 && v.nodes[p.node].live
		peers = append(peers, p)
	}
	return peers
}

func (v *view) count(ok func(*node) bool) (n int) {
	for i := range v.nodes {
		if ok(&v.nodes[i]) {
			n++
		}
	}
	return n
}

func (v *view) ranges() []group { return v.groups[:len(v.groups)-1] }

func (v *view) meta() *group { return &v.groups[len(v.groups)-1] }
