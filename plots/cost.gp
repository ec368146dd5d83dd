# Quality against cost, one panel a kind of cost, both axes logarithmic where the data allow.
#   gnuplot -c plots/cost.gp DATA OUT      reads DATA.par and DATA.dat, writes OUT.svg, .pdf, .png
#
# Grey stairs: the Pareto front. Grey band: the noise floor. Small numbers: the step count where a
# series starts.

load ARG0[1:strlen(ARG0) - strlen("cost.gp")]."style.gp"
load ARG1.".par"
data = ARG1.".dat"

# Two entries beside the series: the front and the floor.
key_columns = key_columns > 3 ? 3 : key_columns
key_rows = (series + 2 + key_columns - 1) / key_columns
columns = panels < 2 ? 1 : 2
rows = (panels + columns - 1) / columns
width = 8.6
top = 0.42 + 0.2 * key_rows
height = 3.0 * rows + top

block(p, s) = sprintf("index \"p%d s%d points;\"", p, s)
look(s) = sprintf("lc rgb \"%s\" pt %d ps 0.8 lw 1.2", color_of(series_place[s]), shape_of(series_place[s]))

# Series that start at the same place have their labels on different sides.
label_place(s) = s % 3 == 1 ? "left offset 0.6,0.5" : s % 3 == 2 ? "left offset 0.6,-0.5" : "right offset -0.6,0.5"

do for [format in formats] {
	eval terminal_for(format, width, height)
	set output ARG2.".".format
	set multiplot layout rows, columns \
		margins screen 0.95 / width, 1 - 0.2 / width, 0.6 / height, 1 - top / height - 0.1 / height \
		spacing screen 0.75 / width, 0.65 / height
	set label 1 title at screen 0.5, 1 - 0.2 / height center font ",11"
	set logscale x
	set format x "%g"
	do for [p = 1:panels] {
		eval y_axis(p)
		set xrange [panel_left[p]:panel_right[p]]
		set xlabel panel_title[p] offset 0, 0.3
		if (p == 1) { set label 2 y_title at screen 0.17 / width, screen 0.5 - 0.5 * (top - 0.5) / height center rotate }
		set key off
		if (p == 1) {
			eval key_above(1 - 0.36 / height, key_rows)
		}
		command = "plot NaN notitle"
		if (floor_high == floor_high) {
			command = command.", '+' using 1:(floor_low):(floor_high) with filledcurves lc rgb floor_color notitle"
		}
		command = command.sprintf(", data index \"p%d front;\" using 1:2 with lines lw 3 lc rgb front_color notitle", p)
		do for [s = 1:series] {
			command = command.", data ".block(p, s)." using 1:2 with lines dt ".dash_of(series_place[s])." lw 1.2 lc rgb \"".color_of(series_place[s])."\" notitle"
			command = command.", data ".block(p, s)." using 1:2:3:4 with yerrorbars ".look(s)." notitle"
			if (p == 1) {
				command = command.", keyentry with linespoints dt ".dash_of(series_place[s])." ".look(s)." title series_title[".s."]"
			}
		}
		if (p == 1) {
			command = command.", keyentry with lines lw 3 lc rgb front_color title \"Pareto front\""
			if (floor_high == floor_high) {
				command = command.", keyentry with lines lw 8 lc rgb floor_color title \"noise floor\""
			}
		}
		do for [s = 1:series] {
			command = command.", data ".block(p, s)." using 1:2:($5 > 0 ? sprintf(\"%d\", $5) : \"\") with labels ".label_place(s)." font \",7\" textcolor rgb \"".color_of(series_place[s])."\" notitle"
		}
		eval command
		unset label 1
		unset label 2
	}
	unset multiplot
	set output
}
