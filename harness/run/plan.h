#ifndef STRIDE_RUN_PLAN_H
#define STRIDE_RUN_PLAN_H

#include "core/hash.h"
#include "run/config.h"

/**
 * A plan: the cells of a configuration with every option resolved and every key known. Options
 * resolve in this order, later ones win: defaults, the method's preset for the target, the
 * configuration's options, its overrides, its sets (which the command line's --set extends).
 *
 * A key is a hash of everything that can change a record's numbers, and of nothing else: neither
 * order nor spelling of the configuration, nor defaults written out.
 */

/** Every option of a plug-in as text, in the order of its table. */
struct resolved {
	size_t n;
	struct setting *settings;
};

struct plan_target {
	const struct target *target;
	struct resolved options;
	size_t dim;
	bool exact; /* has an exact sampler */
	struct log_z log_z;
	char floor_key[KEY_SIZE];
	bool floor; /* the plan wants its noise floors */
};

/** What is known of a cell. The first is not a state of a record. */
enum cell_state {
	CELL_MISSING,
	CELL_OK,
	CELL_DIVERGED,
	CELL_FAILED,
	CELL_TIMEOUT,
	CELL_SKIPPED,
	CELL_STATES
};

/** The name of a state as in records; "missing" for the first. */
const char *cell_state_name(enum cell_state s);

struct plan_cell {
	const struct method *method;
	const struct plan_target *target;
	struct resolved options;
	uint64_t seed;
	size_t n_steps; /* those of the configuration that the method can do; 0: no step axis */
	size_t *steps;
	long iterations; /* of training; 0: none */
	long at_most;    /* > 0: stop training after so many, to see how long they take */
	char key[KEY_SIZE];
	char training_key[KEY_SIZE]; /* of what its training depends on; "": it is not trained */
};

struct plan {
	const struct config *config;
	size_t n_targets, n_cells;
	struct plan_target *targets;
	struct plan_cell *cells; /* target by target, method by method, seed by seed */
};

/** Make the plan of the cells that match one of the filters "METHOD:TARGET", either side of which may
 *  be empty or "*"; without filters, of all cells. Checks every option, step count and target of
 *  these. Everything lives in the arena. ERR_NAME, ERR_RANGE, ERR_PARSE, ERR_IO (a target's data)
 *  with the place in the configuration. */
int plan_make(struct plan *out, const struct config *c, const char *const *filters,
	size_t n_filters, struct arena *a);

/** One target of a plan alone, t zeroed: options from the entry and the configuration's sets, dimension,
 *  log Z, key of its floors. Errors as plan_make. */
int plan_target_make(struct plan_target *t, const struct config *c,
	const struct config_entry *entry, struct arena *a);

/** The key of the target's floors in this configuration. */
void plan_floor_key(struct plan_target *t, const struct config *c, struct arena *a);

/** What a user calls the cell's method: its option "label", or its name. */
const char *plan_label(const struct plan_cell *c);

/** Keep every n-th cell, starting with the k-th, 1 <= k <= n. */
void plan_shard(struct plan *p, size_t k, size_t n);

/** A cell for the training of m alone: its options are defaults < presets for the target < settings.
 *  ERR_NAME, ERR_RANGE, ERR_PARSE. */
int plan_training(struct plan_cell *out, const struct method *m, const struct plan_target *t,
	uint64_t seed, const struct setting *settings, size_t n, struct arena *a);

/** State of a method for a cell of the plan: zeroed, its options set. In the arena. */
void *plan_method_state(const struct plan_cell *c, struct arena *a);

#endif
