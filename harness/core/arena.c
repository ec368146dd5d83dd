#include "core/arena.h"
#include "core/error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, BLOCK_MIN = 1 << 18 };

struct block {
	struct block *older;
	size_t size; /* bytes of payload */
	size_t used;
	char *data; /* aligned payload */
};

struct arena {
	struct block *newest;
	size_t bytes;
};

struct arena *arena_new(void)
{
	struct arena *a = calloc(1, sizeof(*a));

	invariant(a != NULL);
	return a;
}

static void pop(struct arena *a)
{
	struct block *b = a->newest;

	a->newest = b->older;
	a->bytes -= b->size;
	free(b->data);
	free(b);
}

void arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	while (a->newest != NULL)
		pop(a);
	free(a);
}

static void push(struct arena *a, size_t payload)
{
	struct block *b = malloc(sizeof(*b));

	invariant(b != NULL);
	b->size = payload > BLOCK_MIN ? payload : BLOCK_MIN;
	b->used = 0;
	b->data = aligned_alloc(ALIGN, b->size);
	invariant(b->data != NULL);
	b->older = a->newest;
	a->newest = b;
	a->bytes += b->size;
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
	invariant(size == 0 || count <= (SIZE_MAX - ALIGN) / size);
	size_t bytes = (count * size + ALIGN - 1) / ALIGN * ALIGN;
	if (bytes == 0)
		bytes = ALIGN;
	if (a->newest == NULL || a->newest->size - a->newest->used < bytes)
		push(a, bytes);
	char *p = a->newest->data + a->newest->used;
	a->newest->used += bytes;
#ifdef STRIDE_POISON
	memset(p, 0xff, bytes); /* every float and double becomes NaN */
#endif
	return p;
}

void *arena_zalloc(struct arena *a, size_t count, size_t size)
{
	void *p = arena_alloc(a, count, size);

	memset(p, 0, count * size);
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = arena_alloc(a, n, 1);

	memcpy(copy, s, n);
	return copy;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	invariant(n >= 0);
	char *s = arena_alloc(a, (size_t)n + 1, 1);
	va_start(args, format);
	vsnprintf(s, (size_t)n + 1, format, args);
	va_end(args);
	return s;
}

struct arena_mark arena_mark(const struct arena *a)
{
	return (struct arena_mark){ a->newest, a->newest != NULL ? a->newest->used : 0 };
}

void arena_release(struct arena *a, struct arena_mark m)
{
	while (a->newest != m.block)
		pop(a);
	if (a->newest != NULL)
		a->newest->used = m.used;
}

size_t arena_bytes(const struct arena *a)
{
	return a->bytes;
}
