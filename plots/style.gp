# The look that all figures share: palette, point shapes, dashes, terminals. Loaded by every script.
#
# Series are told apart by colour (Okabe and Ito 2008, legible to the colour-blind), by point shape
# and by dash pattern, so that black and white print keeps them apart too. Place 0 is the oracle's.

array colors[7] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555"]
array shapes[10] = [7, 5, 9, 13, 11, 6, 4, 8, 12, 10]
color_of(place) = place == 0 ? "#000000" : colors[(place - 1) % 7 + 1]
shape_of(place) = place == 0 ? 3 : shapes[(place - 1) % 10 + 1]
dash_of(place) = place == 0 ? 1 : (place - 1) % 5 + 1

floor_color = "#DDDDDD"
contour_color = "#A8A8A8"
front_color = "#AAAAAA"
reference_color = "#000000"
histogram_color = "#D5D5D5"

# Formats in the order they are made; width and height in inches.
formats = "svg pdf png"
terminal_for(format, width, height) = \
	format eq "svg" ? sprintf("set terminal svg noenhanced size %d,%d font 'DejaVu Sans,8' fontscale 1.35 linewidth 1.3 background '#ffffff'", \
		int(96 * width), int(96 * height)) : \
	format eq "pdf" ? sprintf("set terminal pdfcairo noenhanced size %gin,%gin font 'DejaVu Sans,8' fontscale 0.95 linewidth 1.6 pointscale 0.75", \
		width, height) : \
	sprintf("set terminal pngcairo noenhanced size %d,%d font 'DejaVu Sans,8' fontscale 1.9 linewidth 1.9 pointscale 1.7 background '#ffffff'", \
		int(150 * width), int(150 * height))

# A point among hundreds; the terminals measure points differently.
dot_of(format) = format eq "png" ? 0.18 : 0.3

set encoding utf8
set datafile separator whitespace
set border 3 linewidth 0.7 linecolor "#444444"
set tics nomirror out scale 0.6 textcolor "#222222"
set grid linecolor "#E6E6E6" linewidth 0.5 linetype 1
set style fill solid noborder
set clip two

# A legend above all panels: in columns, its top at screen height y.
key_above(y, rows) = sprintf("set key at screen 0.5, screen %g center top vertical maxrows %d samplen 2.6 spacing 1.0 width 1", y, rows)

# Ticks of an axis of this length: 1, 2, 5 or 10 times a power of ten, at most six of them.
tick_unit(length) = 10 ** floor(log10(length / 5.0))
tick_parts(length) = length / 5.0 / tick_unit(length)
tick_step(length) = tick_unit(length) * (tick_parts(length) <= 1 ? 1 : tick_parts(length) <= 2 ? 2 : tick_parts(length) <= 5 ? 5 : 10)

# The y axis of panel p: linear, logarithmic, or symmetric logarithmic. The last is drawn as
# asinh(y / unit) on a linear axis, whose labels and range the report has computed (as it has the
# labels of a logarithmic axis of few decades); y_of is then to
# be applied to every value. The range in between is one that either scale can have: the range of
# the panel before may not.
y_of(y) = panel_scale[p] eq "symlog" ? asinh(y / panel_unit[p]) : y
y_axis(p) = "set yrange [1:10]; " \
	.(panel_scale[p] eq "log" ? "set logscale y; " : "unset logscale y; ") \
	.(panel_tics[p] ne "" ? "set ytics (".panel_tics[p].")" : "set ytics autofreq") \
	.sprintf("; set yrange [%.9g:%.9g]", panel_low[p], panel_high[p])
