#ifndef STRIDE_CORE_PARALLEL_H
#define STRIDE_CORE_PARALLEL_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Work in fixed pieces. parallel_for runs body(context, i) for i = 0 .. n - 1 as OpenMP tasks of
 * the enclosing parallel region, or starts one when there is none. Pieces run in any order on any
 * thread; a body writes only what belongs to i, and sums over pieces are added afterwards in the
 * order of i. So no result depends on the number of threads. A body may call parallel_for itself while it
 * holds no workspace of its slot: the thread may take up other pieces meanwhile.
 */
void parallel_for(size_t n, void (*body)(void *context, size_t i), void *context);

/** As parallel_for, for bodies that can fail: the error of the smallest failing i becomes the
 *  caller's. All pieces run. */
int parallel_try(size_t n, int (*body)(void *context, size_t i), void *context);

/** Slot of the calling thread, 0 .. parallel_threads() - 1: which workspace is its own. */
size_t parallel_slot(void);

/** Number of threads in use, set by parallel_use (default: all cores). */
size_t parallel_threads(void);
void parallel_use(size_t threads);

/** A user asked to stop (Ctrl-C). Long loops look at it between pieces of at most a second. */
bool parallel_stopping(void);
void parallel_stop(void); /* async-signal-safe */

#endif
