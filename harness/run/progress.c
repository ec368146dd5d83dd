#include "run/progress.h"
#include "run/clock.h"
#include "core/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BAR_WIDTH = 24, WORDS_MAX = 64, LINE_MAX_LENGTH = 256 };

enum job_state { JOB_WAITING, JOB_RUNNING, JOB_ENDED };

struct job {
	enum job_state state;
	double fraction;
	double start;
};

struct progress {
	size_t n, ended;
	const char *const *names;
	const double *weights;
	struct job *jobs;
	bool terminal, done;
	double start, patience;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t reporter;
};

char *progress_duration(double seconds, char *text, size_t size)
{
	long s = (long)(seconds + 0.5);

	if (seconds < 9.95)
		snprintf(text, size, "%.1f s", seconds);
	else if (s < 60)
		snprintf(text, size, "%ld s", s);
	else if (s < 3600)
		snprintf(text, size, "%ld min %02ld s", s / 60, s % 60);
	else
		snprintf(text, size, "%ld h %02ld min", s / 3600, s % 3600 / 60);
	return text;
}

/* Part of the whole that is done, by weight. */
static double fraction_done(const struct progress *p)
{
	double done = 0, all = 0;

	for (size_t i = 0; i < p->n; i++) {
		all += p->weights[i];
		done += p->weights[i] * p->jobs[i].fraction;
	}
	return all > 0 ? done / all : 1;
}

/* "54 of 120 done, about 3 min 20 s left" */
static void describe(const struct progress *p, char *text, size_t size)
{
	double done = fraction_done(p), elapsed = clock_seconds() - p->start;
	char left[WORDS_MAX];

	/* Too little is done to tell from. */
	if (done < 0.01 || elapsed < 1)
		snprintf(text, size, "%zu of %zu done", p->ended, p->n);
	else
		snprintf(text, size, "%zu of %zu done, about %s left", p->ended, p->n,
			progress_duration(elapsed * (1 - done) / done, left, sizeof(left)));
}

/* The names of the running jobs, as far as the line goes. */
static void append_running(const struct progress *p, char *line, size_t size)
{
	const char *separator = ": ";

	for (size_t i = 0; i < p->n; i++) {
		size_t used = strlen(line);
		if (p->jobs[i].state != JOB_RUNNING || used + 1 >= size)
			continue;
		snprintf(line + used, size - used, "%s%s (%.0f %%)", separator, p->names[i],
			100 * p->jobs[i].fraction);
		separator = ", ";
	}
}

static void print_bar(const struct progress *p)
{
	char line[LINE_MAX_LENGTH], words[WORDS_MAX], bar[BAR_WIDTH + 1];
	int full = (int)(fraction_done(p) * BAR_WIDTH);

	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < full ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	describe(p, words, sizeof(words));
	snprintf(line, 100, "[%s] %s", bar, words);
	append_running(p, line, 100);
	fprintf(stderr, "\r\033[K%s", line);
	fflush(stderr);
}

static void print_line(const struct progress *p)
{
	char line[LINE_MAX_LENGTH];

	describe(p, line, sizeof(line));
	append_running(p, line, sizeof(line));
	fprintf(stderr, "%s\n", line);
}

static bool quiet(const struct progress *p)
{
	return clock_seconds() - p->start < p->patience;
}

static void *report(void *context)
{
	struct progress *p = context;
	double last = clock_seconds();
	bool was_quiet = false;

	pthread_mutex_lock(&p->lock);
	while (!p->done) {
		clock_wait(&p->wake, &p->lock, p->terminal ? 0.25 : 0.99);
		if (p->done)
			break;
		if (quiet(p)) {
			was_quiet = true;
		} else if (p->terminal) {
			print_bar(p);
		} else if (was_quiet || clock_seconds() - last >= 9) {
			print_line(p);
			last = clock_seconds();
			was_quiet = false;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct progress *progress_new(size_t n, const char *const *names, const double *weights)
{
	struct progress *p = calloc(1, sizeof(*p));

	invariant(p != NULL);
	*p = (struct progress){ .n = n,
		.names = names,
		.weights = weights,
		.jobs = calloc(n + 1, sizeof(*p->jobs)),
		.terminal = isatty(STDERR_FILENO) != 0,
		.start = clock_seconds() };
	invariant(p->jobs != NULL);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	invariant(pthread_create(&p->reporter, NULL, report, p) == 0);
	return p;
}

void progress_patience(struct progress *p, double seconds)
{
	pthread_mutex_lock(&p->lock);
	p->patience = seconds;
	pthread_mutex_unlock(&p->lock);
}

void progress_free(struct progress *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->done = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->reporter, NULL);
	if (p->terminal && !quiet(p))
		fputs("\r\033[K", stderr);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p->jobs);
	free(p);
}

void progress_begin(struct progress *p, size_t job)
{
	pthread_mutex_lock(&p->lock);
	p->jobs[job] = (struct job){ .state = JOB_RUNNING, .start = clock_seconds() };
	if (!p->terminal && !quiet(p))
		fprintf(stderr, "start %s\n", p->names[job]);
	pthread_mutex_unlock(&p->lock);
}

void progress_wait(struct progress *p, size_t job)
{
	pthread_mutex_lock(&p->lock);
	p->jobs[job] = (struct job){ .state = JOB_WAITING };
	if (!p->terminal)
		fprintf(stderr, "wait  %s\n", p->names[job]);
	pthread_mutex_unlock(&p->lock);
}

void progress_note(struct progress *p, const char *text)
{
	if (p == NULL) {
		fprintf(stderr, "%s\n", text);
		return;
	}
	pthread_mutex_lock(&p->lock);
	fprintf(stderr, "%s%s\n", p->terminal ? "\r\033[K" : "", text);
	pthread_mutex_unlock(&p->lock);
}

void progress_tick(struct progress *p, size_t job, double fraction)
{
	pthread_mutex_lock(&p->lock);
	p->jobs[job].fraction = fraction;
	pthread_mutex_unlock(&p->lock);
}

void progress_end(struct progress *p, size_t job, const char *how, const char *message)
{
	char took[WORDS_MAX], words[WORDS_MAX];

	pthread_mutex_lock(&p->lock);
	p->jobs[job].state = JOB_ENDED;
	p->jobs[job].fraction = 1;
	p->ended++;
	progress_duration(clock_seconds() - p->jobs[job].start, took, sizeof(took));
	describe(p, words, sizeof(words));
	/* A terminal has the bar; only what went wrong gets a line there. */
	if (!quiet(p) && (!p->terminal || message != NULL))
		fprintf(stderr, "%send   %s: %s in %s%s%s (%s)\n", p->terminal ? "\r\033[K" : "",
			p->names[job], how, took, message != NULL ? ": " : "",
			message != NULL ? message : "", words);
	pthread_mutex_unlock(&p->lock);
}
