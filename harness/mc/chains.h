#ifndef STRIDE_MC_CHAINS_H
#define STRIDE_MC_CHAINS_H

/* What Markov-chain methods include: adaptation, traces with diagnostics, statistics, and the widths of the
 * prior that Beyond ELBOs (Blessing et al. 2024) and OSDS give their SMC, where they are not 1. */
#include "core/stats.h"
#include "mc/adapt.h"
#include "mc/trace.h"

/** Rows of a table of presets for methods with an option sigma0. */
#define SIGMA0_PRESETS                                                                     \
	{ NULL, "gmm40_2d", "sigma0=40" }, { NULL, "gmm40_50d", "sigma0=40" },             \
		{ NULL, "gmm10_2d", "sigma0=15" }, { NULL, "student10_50d", "sigma0=15" }, \
	{                                                                                  \
		NULL, "planar_robot", "sigma0=2"                                           \
	}

#endif
