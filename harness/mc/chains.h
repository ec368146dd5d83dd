#ifndef STRIDE_MC_CHAINS_H
#define STRIDE_MC_CHAINS_H

/* What Markov-chain methods include: adaptation, traces with diagnostics, statistics, and the widths of the
 * prior that Beyond ELBOs (Blessing et al. 2024) and OSDS give their SMC, where they are not 1. */
#include "core/stats.h"
#include "mc/adapt.h"
#include "mc/trace.h"

/** Rows of a table of presets for methods with an option sigma0; `gmm40` and `robot` are what else a
 *  method has for these targets, "" or ",key=value". */
#define SIGMA0_PRESETS(gmm40, robot)                                                       \
	{ NULL, "gmm40_2d", "sigma0=40" gmm40 }, { NULL, "gmm40_50d", "sigma0=40" gmm40 }, \
		{ NULL, "gmm10_2d", "sigma0=15" }, { NULL, "student10_50d", "sigma0=15" }, \
	{                                                                                  \
		NULL, "planar_robot", "sigma0=2" robot                                     \
	}

#endif
