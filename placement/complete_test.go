package placement

import "testing"

func TestComplete(t *testing.T) {
	node := func(id string, status NodeStatus) Node { return Node{ID: id, Status: status} }
	three := []Node{node("a", Active), node("b", Active), node("c", Active)}
	full := []string{"a", "b", "c"}
	for name, test := range map[string]struct {
		s        State
		complete bool
	}{
		"alone":                       {State{Replication: 3, Nodes: three[:1], MetaVoters: full[:1], Ranges: []Range{{ID: 1, Replicas: full[:1]}}}, true},
		"full":                        {State{Replication: 3, Nodes: three, MetaVoters: full, Ranges: []Range{{ID: 1, Replicas: full}}}, true},
		"a replica is missing":        {State{Replication: 3, Nodes: three, MetaVoters: full, Ranges: []Range{{ID: 1, Replicas: full[:2]}}}, false},
		"fewer are wanted":            {State{Replication: 3, Nodes: three, MetaVoters: full, Ranges: []Range{{ID: 1, Replication: 1, Replicas: full[:1]}}}, true},
		"a voter is missing":          {State{Replication: 1, Nodes: three, MetaVoters: full[:1], Ranges: []Range{{ID: 1, Replicas: full[:1]}}}, false},
		"an even number of nodes":     {State{Replication: 1, Nodes: three[:2], MetaVoters: full[:1], Ranges: []Range{{ID: 1, Replicas: full[:1]}}}, true},
		"who leaves need not have it": {State{Replication: 3, Nodes: append(three[:2:2], node("c", Leaving)), MetaVoters: full[:1], Ranges: []Range{{ID: 1, Replicas: full[:2]}}}, true},
	} {
		if err := test.s.Complete(); (err == nil) != test.complete {
			t.Errorf("%s: %v", name, err)
		}
	}
}
