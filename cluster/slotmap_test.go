package cluster

import (
	"testing"

	"kahuna/op"
	"kahuna/placement"
)

// A slot is answered for by the partition in which it begins, also where partitions are cut between names.
func TestSlotPartitions(t *testing.T) {
	at := func(slot uint16, name string) op.Position { return op.Position{Slot: slot, Name: []byte(name)} }
	slots := slotPartitions([]placement.Range{{ID: 7}, {ID: 3, From: at(5, "")}, {ID: 4, From: at(9, "k")}, {ID: 6, From: at(9, "m")},
		{ID: 8, From: at(11, "")}, {ID: 9, From: at(op.Slots-1, "z")}})
	for slot, want := range map[uint16]uint32{0: 7, 4: 7, 5: 3, 8: 3, 9: 3, 10: 6, 11: 8, op.Slots - 1: 8} {
		if slots[slot] != want {
			t.Errorf("slot %d: partition %d, want %d", slot, slots[slot], want)
		}
	}
}
