#include "score/reuse.h"

#include <pthread.h>

struct made {
	reuse_make make;
	void *it;
	struct arena *arena; /* of its own */
	struct made *next;
};

struct reuse {
	const double *exact;
	size_t n_exact;
	pthread_mutex_t lock;
	struct made *first;
	struct arena *arena; /* of the list */
};

struct reuse *reuse_new(const double *exact, size_t n_exact)
{
	struct arena *a = arena_new();
	struct reuse *r = ARENA_NEW(a, 1, struct reuse);

	*r = (struct reuse){ .exact = exact, .n_exact = n_exact, .arena = a };
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void reuse_free(struct reuse *r)
{
	if (r == NULL)
		return;
	for (struct made *m = r->first; m != NULL; m = m->next)
		arena_free(m->arena);
	pthread_mutex_destroy(&r->lock);
	arena_free(r->arena);
}

static void *find(struct reuse *r, reuse_make make)
{
	for (struct made *m = r->first; m != NULL; m = m->next)
		if (m->make == make)
			return m->it;
	return NULL;
}

/* Two threads may make the same thing at once: what comes second goes. With the lock held while something is
 * made, a thread that waits inside for others could come here again. */
static void *put(struct reuse *r, struct made made)
{
	pthread_mutex_lock(&r->lock);
	void *it = find(r, made.make);
	if (it == NULL) {
		struct made *m = ARENA_NEW(r->arena, 1, struct made);
		made.next = r->first;
		*m = made;
		r->first = m;
		it = made.it;
		made.arena = NULL;
	}
	pthread_mutex_unlock(&r->lock);
	arena_free(made.arena);
	return it;
}

int reuse_exact(const struct scored *in, reuse_make make, void **out)
{
	struct reuse *r = in->reuse;

	if (r == NULL || r->exact != in->exact || r->n_exact != in->n_exact)
		return make(in, out);
	pthread_mutex_lock(&r->lock);
	*out = find(r, make);
	pthread_mutex_unlock(&r->lock);
	if (*out != NULL)
		return OK;
	struct made made = { .make = make, .arena = arena_new() };
	struct scored own = *in;
	own.arena = made.arena;
	int code = make(&own, &made.it);
	if (code != OK) {
		arena_free(made.arena);
		return code;
	}
	*out = put(r, made);
	return OK;
}
