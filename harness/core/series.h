#ifndef STRIDE_CORE_SERIES_H
#define STRIDE_CORE_SERIES_H

#include "core/arena.h"

#include <stdbool.h>
#include <stddef.h>

/** Read a series of `steps` observations, some of them missing, from a table with the columns t,
 *  observed and `value`: t counts from 0 in steps of 1, observed is 1 or 0, and where it is 1 the
 *  value is finite. seen [steps]; y [steps] is 0 where nothing was seen. ERR_IO; ERR_PARSE with
 *  file and line for anything else, and for another number of rows, or of them observed, than asked
 *  for. */
int series_read(const char *path, const char *value, size_t steps, size_t observed, double *y,
	bool *seen, struct arena *a);

#endif
