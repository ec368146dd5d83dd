# Training curves, one panel a method and loss, one line a seed.
#   gnuplot -c plots/curves.gp DATA OUT     reads DATA.par and DATA.dat, writes OUT.svg, .pdf, .png

load ARG0[1:strlen(ARG0) - strlen("curves.gp")]."style.gp"
load ARG1.".par"
data = ARG1.".dat"

columns = panels < 3 ? panels : 3
rows = (panels + columns - 1) / columns
width = columns == 1 ? 5.0 : 3.35 * columns
top = 0.42
height = 2.3 * rows + top + 0.15

do for [format in formats] {
	eval terminal_for(format, width, height)
	set output ARG2.".".format
	set multiplot layout rows, columns \
		margins screen 0.75 / width, 1 - 0.3 / width, 0.5 / height, 1 - top / height - 0.3 / height \
		spacing screen 0.8 / width, 0.82 / height
	set label 1 title at screen 0.5, 1 - 0.2 / height center font ",11"
	set xlabel "iteration" offset 0, 0.6
	set key off
	do for [p = 1:panels] {
		eval y_axis(p)
		set xrange [0:panel_last[p]]
		set xtics tick_step(panel_last[p])
		set title panel_title[p] offset 0, -0.5 font ",9"
		command = "plot NaN notitle"
		do for [s = 1:panel_seeds[p]] {
			command = command.sprintf(", data index \"p%d s%d curve;\" using 1:(y_of($2)) with lines dt %d lw 1.1 lc rgb color_of(%d) notitle", \
				p, s, dash_of(s), panel_place[p])
		}
		eval command
		unset label 1
	}
	unset multiplot
	set output
}
