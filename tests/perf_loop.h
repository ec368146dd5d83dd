#ifndef STRIDE_TESTS_PERF_LOOP_H
#define STRIDE_TESTS_PERF_LOOP_H

#include "stride.h"

/** The sampling gradient of OSDS on a 10-D target written out by hand for one network and one loss: what
 *  the graph's generality is measured against. It uses the graph's kernels, and makes the step-only
 *  part of the network forwards but not backwards (3 % of the matrix products). */
struct hand_loop;

struct hand_loop *hand_loop_new(const struct control_net *net, const struct field *field,
	size_t steps, size_t rows, double sigma0, const real *params, uint64_t seed,
	struct arena *a);

/** One gradient; returns the loss. */
double hand_loop_run(struct hand_loop *l);

#endif
