package main

import (
	"image/color"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// bar is one wall time of the picture.
type bar struct {
	label        string
	ratio, asked float64 // asked: 0 where nothing is
}

// bars are the wall times that both layers have.
func (r *report) bars() (all []bar) {
	title := ""
	for _, line := range r.rows {
		switch {
		case line.Title != "":
			title, _, _ = strings.Cut(line.Title, " (")
		case line.Picture && line.Ratio > 0:
			b := bar{label: line.Release + ": " + title, ratio: line.Ratio}
			if _, what, more := strings.Cut(line.Label, ", "); more && !strings.HasPrefix(what, "median") {
				what, _, _ = strings.Cut(what, ", median")
				b.label += ", " + what
			}
			if line.Asked.Share {
				b.asked = line.Asked.Limit
			}
			all = append(all, b)
		}
	}
	return all
}

// least is where the bars begin: a logarithm has no zero.
const least = 0.001

// draw shows the wall times of ours as shares of Debian's, on a scale of powers of ten: what ends left of 1 is faster, and a line
// in a bar's row is what was asked for.
func (r *report) draw(file string) error {
	all := r.bars()
	if len(all) == 0 {
		return nil // only parts without such times were chosen
	}
	p := plot.New()
	p.Title.Text = "wall time, ours as a share of Debian's (1: as long; black: at most this was asked for)"
	ticks := make([]plot.Tick, len(all))
	for i, b := range all {
		y := float64(len(all) - 1 - i) // the first on top
		if err := b.draw(p, y); err != nil {
			return err
		}
		// Whoever shows the picture may have only a wider font: blanks keep room for it.
		ticks[i] = plot.Tick{Value: y, Label: b.label + strings.Repeat(" ", len(b.label)/2)}
	}
	even, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -0.7}, {X: 1, Y: float64(len(all)) - 0.3}})
	if err != nil {
		return err
	}
	even.Color = color.Gray{Y: 0x80}
	p.Add(even)
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.X.Min, p.X.Max = least, max(10, p.X.Max)
	for _, style := range []*text.Style{&p.Y.Tick.Label, &p.X.Tick.Label, &p.Title.TextStyle} {
		style.Font.Variant = "Sans"
	}
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	return p.Save(30*vg.Centimeter, vg.Length(2+0.7*float64(len(all)))*vg.Centimeter, file)
}

// draw adds the bar at a height, blue where ours is not slower.
func (b bar) draw(p *plot.Plot, y float64) error {
	box, err := plotter.NewPolygon(plotter.XYs{{X: least, Y: y - 0.3}, {X: b.ratio, Y: y - 0.3}, {X: b.ratio, Y: y + 0.3}, {X: least, Y: y + 0.3}})
	if err != nil {
		return err
	}
	box.Color = color.RGBA{R: 0x2b, G: 0x6c, B: 0xb0, A: 0xff}
	if b.ratio > 1 {
		box.Color = color.RGBA{R: 0xc0, G: 0x39, B: 0x2b, A: 0xff}
	}
	box.LineStyle.Width = 0
	p.Add(box)
	if b.asked == 0 {
		return nil
	}
	line, err := plotter.NewLine(plotter.XYs{{X: b.asked, Y: y - 0.4}, {X: b.asked, Y: y + 0.4}})
	if err != nil {
		return err
	}
	line.Width = vg.Points(2)
	p.Add(line)
	return nil
}
