#ifndef STRIDE_RUN_REPORTS_H
#define STRIDE_RUN_REPORTS_H

#include "stride.h"

/** Numbers that a draw reports beside its metrics, in the order of their first report. */
struct reports {
	size_t n;
	struct {
		const char *name;
		double value;
	} of[CELL_REPORTS];
};

#endif
