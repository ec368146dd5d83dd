# Samples of each method over contours of the target, the oracle first, all with the same axes.
#   gnuplot -c plots/samples.gp DATA OUT    reads DATA.par and DATA.dat, writes OUT.svg, .pdf, .png

folder = ARG0[1:strlen(ARG0) - strlen("samples.gp")]
load folder."style.gp"
load ARG1.".par"
data = ARG1.".dat"
load folder."contour.gp"

columns = panels < 4 ? panels : 4
rows = (panels + columns - 1) / columns
side = 2.1 # of a panel
left = 0.6
bottom = 0.55
gap_x = 0.3
gap_y = 0.5
top = 0.8
width = left + columns * side + (columns - 1) * gap_x + 0.15
height = bottom + rows * side + (rows - 1) * gap_y + top

do for [format in formats] {
	eval terminal_for(format, width, height)
	set output ARG2.".".format
	set multiplot layout rows, columns \
		margins screen left / width, 1 - 0.15 / width, bottom / height, 1 - top / height \
		spacing screen gap_x / width, gap_y / height
	set label 1 title at screen 0.5, 1 - 0.2 / height center font ",11"
	set xrange [x_low:x_high]
	set yrange [y_low:y_high]
	set xtics tick_step(x_high - x_low)
	set ytics tick_step(y_high - y_low)
	set border 15
	unset grid
	set key off
	do for [p = 1:panels] {
		set title panel_title[p] offset 0, -0.6 font ",8"
		if (p > panels - columns) { set xlabel "x1" offset 0, 0.4; set format x "%g" } else { unset xlabel; set format x "" }
		if ((p - 1) % columns == 0) { set label 2 "x2" at graph -0.24, graph 0.5 center rotate; set format y "%g" } else { unset label 2; set format y "" }
		command = sprintf("plot data index \"p%d;\" using 1:2 with points pt 7 ps dot_of(format) lc rgb color_of(panel_place[p]) notitle", p)
		if (contours > 0) {
			command = "plot $contour using 1:2 with lines lw 0.6 lc rgb contour_color notitle, ".command[6:]
		}
		eval command
		unset label 1
	}
	unset multiplot
	set output
}
