#ifndef STRIDE_RUN_WEIGHTS_FILE_H
#define STRIDE_RUN_WEIGHTS_FILE_H

#include "core/arena.h"

#include <stddef.h>

/**
 * Log weights that any program wrote, CSV or .npy (core/table_file.h). Its columns are known by name:
 * log_w; log_w_forward, of paths from exact samples; or the costs running, stochastic and terminal of a
 * path, log w = -(running + stochastic + terminal). One column without a name is log_w. Others are
 * passed over.
 */
struct weights_file {
	const char *path; /* as shown in messages */
	size_t n;
	double *log_w, *log_w_forward; /* [n], NULL: the file has none; any of nan, inf, -inf */
};

/** Read; names, "running,stochastic,terminal", are those of a file without a header, NULL: none. Lives in
 *  the arena. ERR_IO; ERR_PARSE: no table, or no such column. */
int weights_file_read(struct weights_file *out, const char *path, const char *names,
	struct arena *a);

#endif
