package shell

// nearest returns the candidate that a mistyped word most likely meant, or
// "". Two mistakes are forgiven, one in words of up to three letters.
func nearest(typed string, candidates []string) string {
	best, limit := "", 3
	if len([]rune(typed)) <= 3 {
		limit = 2
	}
	for _, c := range candidates {
		if d := distance(typed, c); d < limit && d < len([]rune(c)) {
			best, limit = c, d
		}
	}
	return best
}

// distance counts the letters to insert, remove, replace or swap with their
// neighbour to make a into b.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before := make([]int, len(t)+1)
	above := make([]int, len(t)+1)
	row := make([]int, len(t)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(s); i++ {
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(t)]
}
