#include "core/parallel.h"
#include "core/error.h"

#include <omp.h>
#include <signal.h>

static size_t threads_wanted; /* 0: all cores */
static volatile sig_atomic_t stopping;

size_t parallel_threads(void)
{
	return threads_wanted > 0 ? threads_wanted : (size_t)omp_get_num_procs();
}

void parallel_use(size_t threads)
{
	threads_wanted = threads;
}

size_t parallel_slot(void)
{
	return (size_t)omp_get_thread_num();
}

bool parallel_stopping(void)
{
	return stopping != 0;
}

void parallel_stop(void)
{
	stopping = 1;
}

/* The pieces as tasks of the team that is there; returns when all are done. */
static void spawn(size_t n, void (*body)(void *context, size_t i), void *context)
{
#pragma omp taskgroup
	for (size_t i = 0; i < n; i++) {
#pragma omp task firstprivate(i) default(none) shared(body, context)
		body(context, i);
	}
}

void parallel_for(size_t n, void (*body)(void *context, size_t i), void *context)
{
	if (n == 0)
		return;
	if (n == 1 || parallel_threads() == 1) {
		for (size_t i = 0; i < n; i++)
			body(context, i);
		return;
	}
	if (omp_in_parallel()) {
		spawn(n, body, context);
		return;
	}
#pragma omp parallel num_threads((int)parallel_threads()) default(none) shared(n, body, context)
#pragma omp single
	spawn(n, body, context);
}

struct attempt {
	int (*body)(void *context, size_t i);
	void *context;
	bool failed;
	size_t first; /* smallest failing piece so far */
	struct error error;
};

static void attempt_piece(void *context, size_t i)
{
	struct attempt *a = context;

	if (a->body(a->context, i) == OK)
		return;
#pragma omp critical(parallel_attempt)
	{
		if (!a->failed || i < a->first) {
			a->failed = true;
			a->first = i;
			error_get(&a->error);
		}
	}
}

int parallel_try(size_t n, int (*body)(void *context, size_t i), void *context)
{
	struct attempt a = { .body = body, .context = context };

	parallel_for(n, attempt_piece, &a);
	return a.failed ? error_set(&a.error) : OK;
}
