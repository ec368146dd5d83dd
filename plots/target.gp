# One target: contours of its density with exact samples, or its curve with a histogram of these.
#   gnuplot -c plots/target.gp DATA OUT     reads DATA.par and DATA.dat, writes OUT.svg, .pdf, .png

folder = ARG0[1:strlen(ARG0) - strlen("target.gp")]
load folder."style.gp"
load ARG1.".par"
data = ARG1.".dat"
contours = dim == 1 ? 0 : contours
load folder."contour.gp"

line = 0.16 # of text
side = dim == 1 ? 2.8 : 4.2 # of the panel
left = 0.75
top = 0.4 + line * subtitle_lines + 0.12
bottom = 0.6 + line * caption_lines + 0.08
width = left + 4.2 + 0.2
height = bottom + side + top

# The nearest level's colour: the innermost is the darkest.
array shades[4] = [0x222222, 0x555555, 0x888888, 0xAAAAAA]
shade(z) = (nearest = 1, sum [k = 1:contours] (abs(z - level[k]) < abs(z - level[nearest]) ? (nearest = k, 0) : 0), shades[nearest])

do for [format in formats] {
	eval terminal_for(format, width, height)
	set output ARG2.".".format
	set lmargin at screen left / width
	set rmargin at screen 1 - 0.2 / width
	set bmargin at screen bottom / height
	set tmargin at screen 1 - top / height
	set label 1 title at screen 0.5, 1 - 0.2 / height center font ",11"
	set label 2 subtitle at screen 0.5, 1 - (0.2 + 0.23) / height center font ",8" textcolor "#444444"
	set label 3 caption at screen 0.3 / width, (bottom - 0.62) / height left font ",8" textcolor "#444444"
	set key off
	set xrange [x_low:x_high]
	set xtics tick_step(x_high - x_low)
	set xlabel "x1" offset 0, 0.3
	set ylabel y_title offset 0.6, 0
	if (dim == 1) {
		set yrange [0:*]
		set boxwidth bin
		plot data index "histogram;" using 1:2 with boxes lc rgb histogram_color, \
			data index "curve;" using 1:2 with lines lw 1.4 lc rgb color_of(1)
	} else {
		set yrange [y_low:y_high]
		set ytics tick_step(y_high - y_low)
		set border 15
		unset grid
		command = sprintf("plot data index \"points;\" using 1:2 with points pt 7 ps 1.4 * %g lc rgb color_of(1)", dot_of(format))
		if (contours > 0) { command = command.", $contour using 1:2:(shade($3)) with lines lw 1 lc rgb variable" }
		eval command
	}
	set output
}
