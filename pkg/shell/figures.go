package shell

import (
	"fmt"
	"strings"
	"time"
)

// rateSpan is how far back a rate looks: long enough to be calm, short enough
// to tell what is going on now.
const rateSpan = 5 * time.Second

// pace measures how fast bytes have moved over the last seconds. It is told
// what this run has moved; what a resumed file had before is none of it.
type pace struct {
	moved   int64
	samples []sample
}

type sample struct {
	at    time.Time
	moved int64
}

// add notes that n more bytes have moved.
func (p *pace) add(now time.Time, n int64) {
	p.moved += n
	if last := len(p.samples) - 1; last >= 0 && now.Sub(p.samples[last].at) < rateSpan/50 {
		p.samples[last].moved = p.moved
		return
	}
	p.samples = append(p.samples, sample{now, p.moved})
	for len(p.samples) > 2 && now.Sub(p.samples[1].at) >= rateSpan {
		p.samples = p.samples[1:]
	}
}

// rate is bytes a second, 0 while nobody knows.
func (p *pace) rate(now time.Time) int64 {
	if len(p.samples) == 0 {
		return 0
	}
	first := p.samples[0]
	d := now.Sub(first.at)
	if d < time.Second/4 {
		return 0
	}
	return int64(float64(p.moved-first.moved) / d.Seconds())
}

// left is how long the rest will take, "" while nobody knows.
func (p *pace) left(now time.Time, rest int64) string {
	rate := p.rate(now)
	if rate <= 0 || rest < 0 {
		return ""
	}
	s := rest / rate
	if s >= 100*3600 {
		return ""
	}
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// percent is what the bar writes behind the description: " 100% [", "]", and
// the column that stays free so that no terminal wraps.
const percent = 9

// barWidth is what of a line the bar itself gets.
func barWidth(width int) int { return min(max((width-30)/4, 4), 30) }

// describe is what stands before the bar: the file's name, and of the figures
// what there is room for. The first to go is the last in value.
func describe(width int, name, count, bytes, rate, left string) string {
	room := width - percent - barWidth(width)
	figures := []string{count, bytes, rate, left}
	for _, i := range []int{1, 2, 0, 3} {
		if used := lengthOf(figures); used == 0 || room-used >= min(columns(name), room/3, 24) {
			break
		}
		figures[i] = ""
	}
	name = shorten(name, room-lengthOf(figures))
	return strings.Join(append([]string{name}, nonEmpty(figures)...), " ")
}

func nonEmpty(words []string) []string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

func lengthOf(words []string) (n int) {
	for _, w := range nonEmpty(words) {
		n += 1 + columns(w)
	}
	return n
}
