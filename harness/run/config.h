#ifndef STRIDE_RUN_CONFIG_H
#define STRIDE_RUN_CONFIG_H

#include "stride.h"

/**
 * A configuration file of a run: which methods, targets, seeds, step counts and metrics. The keys
 * are described in configs/README.md and checked by the schema in config.c.
 */

/** An option as the user wrote it, and where: "FILE:LINE" or "--set KEY=VALUE". */
struct written {
	const char *key, *value, *where;
};

struct written_list {
	size_t n;
	struct written *items;
};

/** A method or a target of the grid. */
struct config_entry {
	const char *name, *where;
	struct written_list options;
};

/** Options for one (method, target) pair, or a pair left out. "*" is every one. */
struct config_pair {
	const char *method, *target;
	struct written_list options;
};

struct config {
	const char *name, *path;
	const char *text; /* resolved, as YAML: running it again is the same run */
	size_t n_seeds, n_steps, n_metrics;
	uint64_t *seeds;               /* ascending, each once */
	size_t *steps;                 /* ascending, each once */
	const char *steps_where;       /* for messages about step counts */
	const struct metric **metrics; /* by name, each once */
	size_t samples, repeats, floor_draws;
	size_t reference;  /* points of the reference set; 0: as many as samples */
	bool keep_samples; /* all samples beside the records, not only the points that plots show */
	double timeout_seconds;    /* infinity: none */
	double checkpoint_seconds; /* between checkpoints of a training; 0: after each iteration */
	size_t n_methods, n_targets, n_overrides, n_excludes;
	struct config_entry *methods, *targets; /* in the order of the file */
	struct config_pair *overrides, *excludes;
	struct written_list sets; /* key is "NAME.OPTION" */
};

/** Read and check a configuration; sets are the KEY=VALUE of the command line. Everything lives in
 *  the arena. ERR_IO, ERR_PARSE, ERR_NAME, ERR_RANGE with file, line, key, what is wrong and what
 *  would be right. Names of methods, targets and metrics are checked here; their options when
 *  the plan is made. */
int config_load(struct config *out, const char *path, const char *const *sets, size_t n_sets,
	struct arena *a);

/** Does the pattern, a name or "" or "*", match the name? */
bool config_matches(const char *pattern, const char *name);

/** ERR_NAME, with the nearest, unless the pattern matches one of the entries. `what` names their
 *  kind. Messages are made in the arena. */
int config_check_name(const struct config_entry *entries, size_t n, const char *pattern,
	const char *what, struct arena *a);

#endif
