package sim

import "testing"

// A run in which nothing happened is no pass.
func TestNothingIsVacuous(t *testing.T) {
	var none tally
	for _, f := range []map[string]int{floors, floorsOfAll, floorsOfMany} {
		if none.below(f) == nil {
			t.Error("an empty run passes the floors")
		}
	}
	some := &tally{}
	some.add("installs", 2)
	if some.below(map[string]int{"installs": 2}) != nil || some.below(map[string]int{"installs": 3}) == nil {
		t.Error("floors are not compared")
	}
}
