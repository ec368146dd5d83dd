#ifndef STRIDE_RUN_TRAINING_H
#define STRIDE_RUN_TRAINING_H

#include "run/curve.h"
#include "run/store.h"

/**
 * Training, kept in DIR/checkpoints/KEY.ckpt as it goes on. KEY is of what the training depends on
 * alone (plan.h): other metrics, step counts or sample sizes find it complete. A training that was cut
 * off goes on from its last checkpoint and ends in the same bits as one that was not.
 *
 * A checkpoint is used whichever sources wrote it; all that had part in a training are named in the
 * record, which is stale while one of them is not the program's own. One that cannot be read, is
 * another training's or was trained with another teacher is moved aside to KEY.ckpt.unused, and
 * training starts anew.
 */
enum { TEACHERS_MAX = 4 /* trained methods that one method asks for */ };

/** A training: of the cell's own method, or of another that its method asked for. */
struct training {
	const struct method *method; /* NULL: none */
	char key[KEY_SIZE];          /* "": it is not kept */
	long planned, iterations;    /* the method's, and those to be made: fewer in a probe */
	long resumed, done;          /* iterations made before this run, and in all */
	struct counts counts;        /* of its iterations */
	double seconds;              /* of its iterations; wall clock, in all runs */
	struct curve *curves;
	size_t n_codes;
	char (*codes)
		[KEY_SIZE]; /* version.training of the programs that trained, in their order, each once */
	char digest[KEY_SIZE]; /* of what it changed, when it is complete and kept */
	size_t n_of;
	struct training *of[TEACHERS_MAX]; /* asked for by cell_trained */
	char waits_for[KEY_SIZE];          /* after ERR_BUSY: another cell is at this training */
};

/** Seconds of it and of what it asked for; as they would be in full if `whole`. */
double training_seconds(const struct training *t, bool whole);

/** What the cells of one run share. Thread-safe. */
struct trainings;

struct trainings_options {
	double every;  /* seconds between checkpoints */
	bool force;    /* use no checkpoint that another run wrote */
	bool own_code; /* use none in which other sources had part */
	void (*note)(void *context,
		const char *text); /* told what a user should know; may be NULL */
	void *context;
};

struct trainings *trainings_new(const struct store *s, const struct trainings_options *o);
void trainings_free(struct trainings *s); /* NULL is fine */

/** Fraction 0 .. 1 of the training that need not be done again. */
double trainings_done(struct trainings *s, const char *key);

/** Is a cell at this training? */
bool trainings_busy(struct trainings *s, const char *key);

/** Could a checkpoint not be written? Then no record could be either, and the run is over. */
bool trainings_broken(struct trainings *s);

/** What a cell's trainings go by. Zero: in memory alone, uninterrupted. */
struct trainer {
	struct trainings *shared;         /* NULL: nothing is kept */
	const struct plan_target *target; /* of the cell; for keys */
	long at_most;                     /* > 0: iterations */
	/* Asked before each iteration: OK, or what to end with; the checkpoint is written then. */
	int (*go_on)(void *context);
	/* Told how far a training is, 0 .. 1. */
	void (*tick)(void *context, const struct training *t, double fraction);
	void *context;
	struct training *training; /* that of the cell which has this trainer */
};

/**
 * Train the cell c of the plan, whose init is done, into t (zeroed; c->trainer->training where there
 * is a trainer). Its counts are added to the cell's. ERR_DIVERGED; ERR_BUSY: another cell is at this
 * training, t->waits_for; ERR_IO with trainings_broken; what go_on and the method return.
 */
int training_run(const struct plan_cell *p, void *state, struct cell *c, struct training *t);

#endif
