#ifndef STRIDE_RUN_PROGRESS_H
#define STRIDE_RUN_PROGRESS_H

#include <stddef.h>

/**
 * What a user sees while a run goes on, on standard error: a bar with the time left on a terminal;
 * elsewhere a line at the start and the end of each job, and one at least every ten seconds.
 * Thread-safe.
 */
struct progress;

/** n jobs, named, with weights in proportion to the time that they will take. Both are borrowed. */
struct progress *progress_new(size_t n, const char *const *names, const double *weights);

/** Show nothing in the first seconds: for what is mostly over by then. Before the first job begins. */
void progress_patience(struct progress *p, double seconds);

void progress_free(struct progress *p); /* NULL is fine; ends the bar */

/** A line of its own, whatever else is shown. p may be NULL. */
void progress_note(struct progress *p, const char *text);

void progress_begin(struct progress *p, size_t job);
void progress_tick(struct progress *p, size_t job, double fraction);

/** The job waits after all, and will begin again. */
void progress_wait(struct progress *p, size_t job);

/** The job has ended: `how` is "ok", "diverged" ... and message more about it, or NULL. */
void progress_end(struct progress *p, size_t job, const char *how, const char *message);

/** Seconds in words, "3 min 20 s", into text [size]; returns text. */
char *progress_duration(double seconds, char *text, size_t size);

#endif
