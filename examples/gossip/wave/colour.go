package wave

import (
	"fmt"
	"math"
	"time"
)

// style is the picture's style sheet, for light and for dark screens.
const style = `<style>
  text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: #555 }
  .title { font-size: 17px; font-weight: 600; fill: #222 }
  .paper { fill: #fff }
  .ring { fill: none; stroke: #8886; stroke-dasharray: 1 6; stroke-linecap: round; stroke-width: 1.5 }
  .link { fill: none; stroke: #8888 }
  .way { fill: none; stroke-width: 4; stroke-linecap: round }
  .node circle { stroke: #fff; stroke-width: 3 }
  .node text { fill: #1d1300 }
  .late text { fill: #fff }
  .unreached circle { fill: #fff; stroke: #888; stroke-dasharray: 3 4 }
  .number, .when, .hop, .tick { text-anchor: middle }
  .number { font-weight: 600 }
  .when { font-size: 10px }
  .hop { font-size: 11px; font-style: italic; stroke: #fff; stroke-width: 5; stroke-linejoin: round; paint-order: stroke }
  .axis { stroke: #888 }
  .mark { stroke-width: 3; stroke-linecap: round }
  .tick { font-size: 11px }
  @media (prefers-color-scheme: dark) {
    text { fill: #bbb } .title { fill: #eee } .paper, .unreached circle { fill: #16181c }
    .node circle, .hop { stroke: #16181c }
  }
</style>
`

// lateInk is the part of the time, from 0 to 1, from which on text on the colour is light.
const lateInk = 0.42

// stops are the colours of the scale, from the first node to the last.
var stops = [][3]float64{{255, 178, 36}, {244, 108, 62}, {208, 65, 143}, {128, 84, 214}, {58, 122, 224}}

// colour returns the colour of a part of the time, from 0 to 1.
func colour(part float64) string {
	place := part * float64(len(stops)-1)
	i := min(int(place), len(stops)-2)
	var c [3]int
	for k := range c {
		c[k] = int(math.Round(stops[i][k] + (place-float64(i))*(stops[i+1][k]-stops[i][k])))
	}
	return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2])
}

// shares returns how late each node was, from 0 for the first to 1 for the last. It uses
// the order of the nodes, not the time, because one very late node would make the times of
// all others look equal.
func (w *Wave) shares() []float64 {
	shares := make([]float64, len(w.Nodes))
	order := w.order()
	for place, i := range order {
		shares[i] = float64(place) / float64(len(order)-1)
	}
	return shares
}

func (w *Wave) last() (last time.Duration) {
	for _, n := range w.Nodes {
		last = max(last, n.At)
	}
	return last
}

func fraction(d, of time.Duration) float64 { return float64(d) / float64(max(of, 1)) }

// tick returns the distance between two marks of the time line, for at most eight marks.
func tick(last time.Duration) time.Duration {
	for step := 100 * time.Microsecond; ; step *= 10 {
		for _, s := range []time.Duration{step, 2 * step, 5 * step} {
			if last <= 8*s {
				return s
			}
		}
	}
}
