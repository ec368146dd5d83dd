# Contours of the block "grid" at the levels of DATA.par as the block $contour (x, y, level).
# Loaded after DATA.par by the scripts that draw them.

if (contours > 0) {
	set contour base
	unset surface
	levels = ""
	do for [k = 1:contours] { levels = levels.sprintf("%s%.12g", k > 1 ? "," : "", level[k]) }
	eval "set cntrparam levels discrete ".levels
	set table $contour
	splot data index "grid;" using 1:2:3 with lines
	unset table
	unset contour
	set surface
}
