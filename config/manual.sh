#!/bin/sh
# Writes the manual page: manual.sh PROGRAM. Commands and options come from the program's --help.
set -eu

program=$1

# commands: their names, from the lines "  NAME  SUMMARY" of --help.
commands() {
	"$program" --help | sed -n 's/^  \([a-z][a-z-]*\)  *[^ ].*/\1/p'
}

# entry COMMAND: its --help (usage, summary, empty line, options) as mdoc.
entry() {
	"$program" "$1" --help | awk '
	function text(s) {
		gsub(/\\/, "\\e", s)
		return (s ~ /^[.\x27]/ ? "\\&" : "") s
	}
	NR == 1 { sub(/^stride /, ""); print ".It Xo"; print text($0); print ".Xc"; next }
	/^ / {
		if (!options++)
			print ".Bl -tag -width Ds"
		sub(/^ */, "")
		at = match($0, /  +/)
		left = substr($0, 1, at - 1)
		right = substr($0, at + RLENGTH)
		left = text(left)
		gsub(/-/, "\\-", left)
		print ".It Xo"; print left; print ".Xc"; print text(right) "."
		next
	}
	NF { print text($0) }
	END { if (options) print ".El" }'
}

cat <<'END'
.Dd November 2026
.Dt STRIDE 1
.Os
.Sh NAME
.Nm stride
.Nd benchmark samplers of unnormalised densities
.Sh SYNOPSIS
.Nm
.Ar command
.Op Ar argument ...
.Sh DESCRIPTION
.Nm
trains samplers, samples from them, scores the samples and records the numbers, for a grid of
methods, targets, options and seeds that a configuration file describes.
A
.Em cell
is one (method, target, options, seed): it is trained once, then sampled and scored at every step
count of the configuration.
A cell that has its record is not run again, so the same command resumes an interrupted run.
No number depends on how many threads there are.
.Sh COMMANDS
.Bl -tag -width Ds
END
for command in $(commands); do
	entry "$command"
done
cat <<'END'
.El
.Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev STRIDE_DATA
Folder in which the data files of targets are looked for first.
A name without a slash is looked for there, then in the program's own data, then in the working
directory; a name with one is a path.
.It Ev STRIDE_REFERENCES
Folder of the reference records
.Pq log Z and moments that had to be estimated ,
in place of the program's own.
.It Ev OPENBLAS_CORETYPE
The kernels that OpenBLAS uses.
Without it
.Nm
starts itself again once when OpenBLAS has taken the processor for an older one.
.El
.Sh EXIT STATUS
.Bl -tag -width Ds
.It 0
Done.
.It 1
Some cells failed, diverged or ran out of time; the rest is there.
.It 2
Bad input: one line on standard error says what, and what would be right.
.It 130
Interrupted; what had finished is kept.
.El
END
