package main

import (
	"slices"
	"strings"
	"testing"
)

// A goal that is not reached stands in the table with its reason; one that is
// reached does not.
func TestAGoalThatIsNotReachedSaysWhy(t *testing.T) {
	old := goals
	t.Cleanup(func() { goals = old })
	goals = []goal{
		{what: "slow work", work: "slow", m: cpuOp, ratio: 0.7, why: "most of it is waiting"},
		{what: "quick work", work: "quick", m: cpuOp, ratio: 0.7, why: "nobody needs this"},
	}
	all := figures{}
	partRun{Figures: []figure{
		{Work: "slow", Who: ours, Round: 1, Ops: 1, Server: 2}, {Work: "slow", Who: "vsftpd", Round: 1, Ops: 1, Server: 1},
		{Work: "quick", Who: ours, Round: 1, Ops: 1, Server: 1}, {Work: "quick", Who: "vsftpd", Round: 1, Ops: 1, Server: 2},
	}}.into(all)
	table := goalTable(all)
	for what, end := range map[string]string{"slow work": "| **no**: most of it is waiting |", "quick work": "| yes |"} {
		rows := strings.Split(table, "\n")
		i := slices.IndexFunc(rows, func(row string) bool { return strings.HasPrefix(row, "| "+what) })
		if i < 0 || !strings.HasSuffix(rows[i], end) {
			t.Errorf("the row of %q does not end in %q:\n%s", what, end, table)
		}
	}
}

// A reason is one line of a table's cell.
func TestReasonsFitIntoATable(t *testing.T) {
	reasons := []string{tenfoldWhy}
	for _, g := range goals {
		reasons = append(reasons, g.why)
	}
	for _, why := range reasons {
		if strings.ContainsAny(why, "|\n") || strings.HasSuffix(why, ".") || len(why) > 300 {
			t.Errorf("not a line of a table, or longer than one: %q", why)
		}
	}
}
