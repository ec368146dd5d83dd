#ifndef STRIDE_RUN_REFERENCE_H
#define STRIDE_RUN_REFERENCE_H

#include "stride.h"

/**
 * References of targets whose log Z has to be estimated: targets/references/ID.json, made by
 * `stride references`. A record holds, for each way of estimation, every run's log Z and the mean and
 * standard error over runs of each coordinate's moments; runs can be added at any time.
 *
 * A record belongs to one density: it holds log rho at a few fixed points. Where options or data give
 * other values there, the density is another one and the record does not count.
 */
enum { REFERENCE_SCHEMA = 1, REFERENCE_PROBES = 4, REFERENCE_WAYS = 3, REFERENCE_RUNS = 1000 };

/** A mean over runs and its standard error, NaN before the second run. */
struct running {
	double value, se;
};

/** One way of estimation. */
struct reference_way {
	const char *name; /* "smc", "importance", "prior" */
	const char *what; /* how, with every number that makes a run what it is */
	size_t runs;
	double *run_log_z, *run_seconds; /* [runs] */
	struct running log_z; /* log of the mean of Z over runs; half the runs' variance, of the
				 order of an adaptive run's bias, is in its error */
	double spread;        /* standard deviation of log Z over runs; NaN for one run */
	struct running *mean, *sd; /* [dim] */
};

struct reference {
	size_t dim;
	double probe[REFERENCE_PROBES];
	size_t n_ways;
	struct reference_way way[REFERENCE_WAYS];
	/* What users see: the ways' log Z, and each coordinate's moments, combined by inverse variance, the
	 * error enlarged where they differ by more than their errors (by the square root of chi-square
	 * over its degrees of freedom, Birge 1932). */
	struct log_z log_z;
	double *mean, *sd, *mean_se, *sd_se; /* [dim] */
};

/** The record of this density, from $STRIDE_REFERENCES or the program's own folder; *out NULL when
 *  there is none, or none of this density. ERR_PARSE: a malformed record. */
int reference_find(const struct reference **out, const struct density *d, struct arena *a);

/** Read one file; *out NULL when it is not there. ERR_PARSE. */
int reference_read(struct reference **out, const char *path, struct arena *a);

/** A record without runs for this density. */
struct reference *reference_new(const struct density *d, struct arena *a);

/** Is the record about this density? */
bool reference_matches(const struct reference *r, const struct density *d);

/** Add a run of a way (found by name, made when new): finite log Z and moments [dim], seconds. Then
 *  the combined values are those of all runs. */
void reference_add(struct reference *r, const char *way, const char *what, double log_z,
	const double *mean, const double *sd, double seconds, struct arena *a);

/** Number of runs of a way on record that were made as `what` says. Runs made otherwise do not
 *  count: reference_add drops them. */
size_t reference_runs(const struct reference *r, const char *way, const char *what);

/** Runs of a way whose log Z spreads more than this say little of Z: their mean and its error are those
 *  of the luckiest. */
#define REFERENCE_SPREAD 0.5

/** Do the ways agree? The largest difference of two ways' log Z in joint standard errors; 0 with
 *  fewer than two ways of two runs, infinite where it is not a number. */
double reference_disagreement(const struct reference *r);

/** Write the record, whole or not at all. ERR_IO. */
int reference_save(const struct reference *r, const char *target, const char *path);

#endif
