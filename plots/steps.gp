# Metrics against the number of steps, one panel a metric.
#   gnuplot -c plots/steps.gp DATA OUT      reads DATA.par and DATA.dat, writes OUT.svg, .pdf, .png
#
# A series with several step counts is a curve with error bars; one with a single step count is a
# dashed line with its marker at that count. The grey band is the noise floor, the thin black line
# log Z or 0.

load ARG0[1:strlen(ARG0) - strlen("steps.gp")]."style.gp"
load ARG1.".par"
data = ARG1.".dat"

columns = panels < 3 ? panels : 3
rows = (panels + columns - 1) / columns
width = columns == 1 ? 5.0 : 3.35 * columns
# So many fit into the widest figure, of three panels.
key_columns = int(key_columns * width / 10.05)
key_columns = key_columns < 1 ? 1 : key_columns
key_rows = (series + key_columns - 1) / key_columns
top = 0.42 + 0.2 * key_rows
height = 2.6 * rows + top + 0.1

block(p, s, what) = sprintf("index \"p%d s%d %s;\"", p, s, what)
look(s) = sprintf("lc rgb \"%s\" pt %d ps 0.7 lw 1.4", color_of(series_place[s]), shape_of(series_place[s]))

do for [format in formats] {
	eval terminal_for(format, width, height)
	set output ARG2.".".format
	set multiplot layout rows, columns \
		margins screen 0.75 / width, 1 - 0.15 / width, 0.5 / height, 1 - (top + 0.4) / height \
		spacing screen 0.75 / width, 0.98 / height
	set label 1 title at screen 0.5, 1 - 0.2 / height center font ",11"
	set logscale x 2
	set xrange [x_low:x_high]
	eval "set xtics (".x_tics.")"
	set xlabel "steps" offset 0, 0.6
	do for [p = 1:panels] {
		eval y_axis(p)
		set title panel_title[p] offset 0, -0.5 font ",9"
		set key off
		if (p == 1) {
			eval key_above(1 - 0.36 / height, key_rows)
		}
		command = "plot NaN notitle"
		if (panel_floor_high[p] == panel_floor_high[p]) {
			command = command.sprintf(", '+' using 1:(%.12g):(%.12g) with filledcurves lc rgb floor_color notitle", \
				y_of(panel_floor_low[p]), y_of(panel_floor_high[p]))
		}
		if (panel_reference[p] == panel_reference[p]) {
			command = command.sprintf(", %.12g with lines lc rgb reference_color lw 0.8 notitle", y_of(panel_reference[p]))
		}
		do for [s = 1:series] {
			drawn = series_in[(p - 1) * series + s]
			if (drawn == 1) {
				command = command.", data ".block(p, s, "curve")." using 1:(y_of($2)) with lines dt ".dash_of(series_place[s])." lw 1.4 lc rgb \"".color_of(series_place[s])."\" notitle"
				command = command.", data ".block(p, s, "curve")." using 1:(y_of($2)):(y_of($3)):(y_of($4)) with yerrorbars ".look(s)." notitle"
			}
			if (drawn == 2) {
				command = command.", data ".block(p, s, "line")." using 1:(y_of($2)) with lines dt ".dash_of(series_place[s])." lw 1.4 lc rgb \"".color_of(series_place[s])."\" notitle"
				command = command.", data ".block(p, s, "curve")." using 1:(y_of($2)):(y_of($3)):(y_of($4)) with yerrorbars ".look(s)." notitle"
			}
			if (p == 1) {
				command = command.", keyentry with linespoints dt ".dash_of(series_place[s])." ".look(s)." title series_title[".s."]"
			}
		}
		eval command
		unset label 1
	}
	unset multiplot
	set output
}
