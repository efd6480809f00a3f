//go:build race

package layer

// raced: the race detector has sync.Pool drop buffers at random.
const raced = true
