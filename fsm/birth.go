package fsm

import (
	"fmt"

	"kahuna/mvcc"
	"kahuna/op"
	"kahuna/storage"
)

// A partition that is born from a split begins with a state: its log starts behind a made-up snapshot at this index and term.
const (
	BirthIndex = 1
	BirthTerm  = 1
)

// whatBirth is under which it stands how a partition came to this store by a split.
const whatBirth byte = 4

// Member is a member of a partition's group. One without a vote receives the log only.
type Member struct {
	ID    string
	Voter bool
}

// Birth is how a partition's group begins: with the members that its parent's had at the split.
type Birth struct {
	ID      uint32
	Parent  uint32
	Members []Member
}

// LoadBirth reads how a partition came to be, if it was by a split here.
func LoadBirth(r mvcc.Reader, id uint32) (birth Birth, found bool, err error) {
	v, found, err := r.Get(storage.AppendPartition(nil, id, whatBirth))
	if err != nil || !found {
		return birth, false, err
	}
	if len(v) == 0 || v[0] != stateFormat {
		return birth, false, fmt.Errorf("the birth of partition %d: %w", id, mvcc.ErrDamaged)
	}
	in := op.NewReader(clip(v[1:]))
	birth.ID, birth.Parent = id, in.Uint32()
	for n := in.Uint(); n > 0 && !in.Bad(); n-- {
		birth.Members = append(birth.Members, Member{ID: in.Text(), Voter: in.Uint() == 1})
	}
	if in.End() != nil {
		return birth, false, fmt.Errorf("the birth of partition %d: %w", id, mvcc.ErrDamaged)
	}
	return birth, true, nil
}

func saveBirth(b mvcc.Batch, birth *Birth) {
	v := appendUints([]byte{stateFormat}, uint64(birth.Parent), uint64(len(birth.Members)))
	for _, member := range birth.Members {
		votes := uint64(0)
		if member.Voter {
			votes = 1
		}
		v = append(appendUints(v, uint64(len(member.ID))), member.ID...)
		v = appendUints(v, votes)
	}
	b.Set(storage.AppendPartition(nil, birth.ID, whatBirth), v)
}
