package placement

// Goal is what a group's Raft configuration is to become.
type Goal struct {
	Voters    []Peer
	Nonvoters []Peer // follow without a vote
}

// Peer is a node as a member of groups.
type Peer struct {
	ID   string
	Addr string // its peer address
}

// RangeGoal is the goal of a range's group: the wanted replicas vote, nobody else is a member.
func (s *State) RangeGoal(r *Range) Goal { return Goal{Voters: s.peers(r.Replicas)} }

// MetaGoal is the goal of the meta group: MetaVoters vote, all other members of the cluster follow. A node whose address is
// another's by now is gone, and does not.
func (s *State) MetaGoal() Goal {
	g := Goal{Voters: s.peers(s.MetaVoters)}
	holders := make(map[string]string, len(s.Nodes)) // by address
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Status != Left && (holders[n.PeerAddr] == "" || n.Status == Active) {
			holders[n.PeerAddr] = n.ID
		}
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Status != Left && holders[n.PeerAddr] == n.ID && !contains(s.MetaVoters, n.ID) {
			g.Nonvoters = append(g.Nonvoters, Peer{n.ID, n.PeerAddr})
		}
	}
	return g
}

func (s *State) peers(ids []string) []Peer {
	peers := make([]Peer, 0, len(ids))
	for _, id := range ids {
		if n := s.Node(id); n != nil {
			peers = append(peers, Peer{n.ID, n.PeerAddr})
		}
	}
	return peers
}
