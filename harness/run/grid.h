#ifndef STRIDE_RUN_GRID_H
#define STRIDE_RUN_GRID_H

#include "run/training.h"

struct error;
struct grid_summary;

/** Which cells to run again, and how. */
struct grid_options {
	bool serial;       /* one cell at a time, all threads in it: for timings */
	bool force;        /* every cell, whatever is there, training included */
	bool retry_failed; /* also those that failed, diverged or timed out */
	bool rerun_stale;  /* also those made by another version of the code, training included */
	/** Called when a run that was asked to stop has not done so after two seconds, from another
	 *  thread: to end the process, which the store allows at any moment. e is what went wrong
	 *  or, when the user asked, NULL. NULL: wait. */
	void (*leave)(const void *context, const struct grid_summary *s, const struct error *e);
	const void *leave_context;
};

/** What a run did. */
struct grid_summary {
	size_t cells;              /* of the plan */
	size_t ran, kept, not_run; /* not_run: interrupted before */
	size_t stale;              /* kept, but made by another version of the code */
	size_t resumed;            /* ran, going on from a checkpoint */
	size_t trained;            /* ran, from that of a whole training */
	size_t states[CELL_STATES];
	char *problem; /* the first cell that is neither ok nor skipped, and why; in the arena */
};

/** Is this cell to be run? entry is what the store has of it, or NULL. */
bool grid_needs(const struct store_entry *entry, const struct grid_options *o);

/** Trainings of a run with these options in this store, to be freed. note as in trainings_options. */
struct trainings *grid_trainings(const struct store *s, const struct plan *p,
	const struct grid_options *o, void (*note)(void *context, const char *text), void *context);

/** Was the entry made by another version of the code, or trained by one in part? */
bool grid_stale(const struct store_entry *entry);

/**
 * Run what is missing: cells and noise floors as OpenMP tasks, longest first, each record stored as
 * soon as it is made. A cell that goes wrong is a record. ERR_INTERRUPTED: stopped by
 * parallel_stop, what was finished is stored; ERR_IO: a record could not be stored, the run
 * stopped.
 */
int grid_run(const struct plan *p, struct store *s, const struct grid_options *o,
	struct grid_summary *out, struct arena *a);

#endif
