package placement

import "slices"

// Member is a member of a group's Raft configuration, as the group's leader sees it.
type Member struct {
	ID       string
	Addr     string
	Voter    bool
	CaughtUp bool // it has the log but for the last moments, and would vote at once
	Live     bool // it answered the leader lately
}

// ActionKind is what a leader may do to its group.
type ActionKind byte

const (
	Nothing     ActionKind = iota // it is what it should be, or has to wait
	AddNonvoter                   // add Peer without a vote, or give a member without one that address
	AddVoter                      // give Peer a vote, or a voter that address
	Demote                        // take Peer's vote; it goes on to follow
	Remove                        // remove Peer
	Transfer                      // hand the leadership to Peer
)

func (k ActionKind) String() string {
	return [...]string{"nothing", "add non-voter", "add voter", "demote", "remove", "transfer"}[k]
}

// Action is the next thing that the leader of a group does. Why tells people what it is good for, or what is waited for.
type Action struct {
	Kind ActionKind
	Peer Peer
	Why  string
}

// Reconcile tells what the leader of a group, self, does next to bring its configuration to the goal. One change is made at a
// time: it is asked again when that is committed, and an action that failed may be tried again. It holds that
//
//   - after each action a quorum of the voters is live, or it is not taken;
//   - a live voter loses its vote only when all wanted voters vote; a dead one when they vote or are ready to;
//   - the leader never removes or demotes itself: it hands over first.
//
// So a group with a live quorum keeps it, and reaches the goal when the wanted voters are live and catch up.
//
// A dead voter goes before its replacement gets the vote: while both counted, a third failure would end the group.
func Reconcile(goal Goal, self string, conf []Member) Action {
	c := change{goal: goal, self: self, conf: conf}
	for _, next := range []func() Action{c.readdress, c.dropFollower, c.dropSuperseded, c.addMissing, c.dropDead, c.promote, c.dropVoter} {
		if a := next(); a.Kind != Nothing {
			return a
		}
	}
	return Action{Why: c.waiting()}
}

type change struct {
	goal Goal
	self string
	conf []Member
}

func find(peers []Peer, id string) (Peer, bool) {
	i := slices.IndexFunc(peers, func(p Peer) bool { return p.ID == id })
	if i < 0 {
		return Peer{}, false
	}
	return peers[i], true
}

func (c *change) member(id string) (Member, bool) {
	i := slices.IndexFunc(c.conf, func(m Member) bool { return m.ID == id })
	if i < 0 {
		return Member{}, false
	}
	return c.conf[i], true
}

// holder is the member that has an address.
func (c *change) holder(addr string) (Member, bool) {
	i := slices.IndexFunc(c.conf, func(m Member) bool { return m.Addr == addr })
	if i < 0 {
		return Member{}, false
	}
	return c.conf[i], true
}

func (c *change) live(m Member) bool { return m.Live || m.ID == c.self }

// quorate tells whether a quorum of the voters is live after one of them, or nobody (""), has gone and more have come.
func (c *change) quorate(without string, more int) bool {
	voters, live := more, more
	for _, m := range c.conf {
		if m.Voter && m.ID != without {
			voters++
			if c.live(m) {
				live++
			}
		}
	}
	return voters > 0 && live >= quorum(voters)
}

func quorum(voters int) int { return voters/2 + 1 }

// readdress follows a node to its new address, unless another member still has that.
func (c *change) readdress() Action {
	for _, m := range c.conf {
		p, votes := find(c.goal.Voters, m.ID)
		if !votes {
			if p, votes = find(c.goal.Nonvoters, m.ID); !votes {
				continue
			}
		}
		if _, taken := c.holder(p.Addr); p.Addr == m.Addr || taken {
			continue
		}
		kind := AddNonvoter
		if m.Voter {
			kind = AddVoter
		}
		return Action{kind, p, "it has a new address"}
	}
	return Action{}
}

// dropFollower removes a member that has no vote and is not wanted.
func (c *change) dropFollower() Action {
	for _, m := range c.conf {
		if !m.Voter && !c.wants(m.ID) {
			return Action{Remove, Peer{m.ID, m.Addr}, "it is not wanted, and has no vote"}
		}
	}
	return Action{}
}

func (c *change) wants(id string) bool {
	_, votes := find(c.goal.Voters, id)
	_, follows := find(c.goal.Nonvoters, id)
	return votes || follows
}

// dropSuperseded removes a member whose address belongs to a wanted node by now: Raft refuses two with one address.
func (c *change) dropSuperseded() Action {
	for _, m := range c.conf {
		if m.ID == c.self || c.wants(m.ID) || !c.quorate(m.ID, 0) {
			continue
		}
		for _, peers := range [][]Peer{c.goal.Voters, c.goal.Nonvoters} {
			for _, p := range peers {
				if p.Addr == m.Addr {
					return Action{Remove, Peer{m.ID, m.Addr}, "its address is another node's now"}
				}
			}
		}
	}
	return Action{}
}

func (c *change) addMissing() Action {
	for _, peers := range [][]Peer{c.goal.Voters, c.goal.Nonvoters} {
		for _, p := range peers {
			_, member := c.member(p.ID)
			if _, taken := c.holder(p.Addr); !member && !taken {
				return Action{AddNonvoter, p, "it is to get a replica"}
			}
		}
	}
	return Action{}
}

// dropDead takes the vote from a dead voter that is not to have it, once those that are to have it are ready.
func (c *change) dropDead() Action {
	if !c.allWanted(func(m Member) bool { return m.Voter || m.CaughtUp && c.live(m) }) {
		return Action{}
	}
	for _, m := range c.conf {
		if _, votes := find(c.goal.Voters, m.ID); m.Voter && !votes && !c.live(m) && c.quorate(m.ID, 0) {
			return c.withdraw(m)
		}
	}
	return Action{}
}

func (c *change) allWanted(ok func(Member) bool) bool {
	for _, p := range c.goal.Voters {
		if m, member := c.member(p.ID); !member || !ok(m) {
			return false
		}
	}
	return true
}

// withdraw takes the vote from a member.
func (c *change) withdraw(m Member) Action {
	if p, follows := find(c.goal.Nonvoters, m.ID); follows {
		return Action{Demote, p, "it is to follow without a vote"}
	}
	return Action{Remove, Peer{m.ID, m.Addr}, "it is not wanted"}
}

func (c *change) promote() Action {
	for _, p := range c.goal.Voters {
		m, member := c.member(p.ID)
		if member && !m.Voter && m.CaughtUp && m.Live && c.quorate("", 1) {
			return Action{AddVoter, p, "it has caught up"}
		}
	}
	return Action{}
}

// dropVoter takes the vote from a voter that is not to have it when all that are have it. The leader itself hands over instead.
func (c *change) dropVoter() Action {
	if len(c.goal.Voters) == 0 || !c.allWanted(func(m Member) bool { return m.Voter }) {
		return Action{}
	}
	for _, m := range c.conf {
		if _, votes := find(c.goal.Voters, m.ID); m.Voter && !votes && m.ID != c.self && c.quorate(m.ID, 0) {
			return c.withdraw(m)
		}
	}
	if _, votes := find(c.goal.Voters, c.self); votes {
		return Action{}
	}
	for _, p := range c.goal.Voters {
		if m, _ := c.member(p.ID); m.Live && m.CaughtUp {
			return Action{Transfer, p, "the leader is not to stay a member"}
		}
	}
	return Action{}
}

// waiting tells what is in the way of the goal; empty when it is reached.
func (c *change) waiting() string {
	for _, p := range c.goal.Voters {
		m, member := c.member(p.ID)
		switch {
		case !member:
			return p.ID + " can't be added: another member has its address"
		case !m.Voter && !m.Live:
			return p.ID + " is to vote and does not answer"
		case !m.Voter && !m.CaughtUp:
			return p.ID + " is to vote and has not caught up"
		case !m.Voter:
			return p.ID + " would not make a live quorum"
		}
	}
	for _, m := range c.conf {
		if _, votes := find(c.goal.Voters, m.ID); m.Voter && !votes {
			if m.ID == c.self {
				return "no wanted voter can take over the leadership"
			}
			return "without " + m.ID + " there would be no live quorum"
		}
	}
	return ""
}
