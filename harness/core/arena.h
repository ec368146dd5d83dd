#ifndef STRIDE_CORE_ARENA_H
#define STRIDE_CORE_ARENA_H

#include <stddef.h>

/**
 * An arena: memory that is given out piece by piece and given back all at once. One arena a cell;
 * plug-ins never call malloc or free. Pieces are aligned to 64 bytes. Debug builds fill fresh
 * memory with NaN, so that a read before a write shows. Exhausted memory aborts. Not thread-safe:
 * one thread at a time allocates from an arena.
 */
struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a); /* NULL is fine */

/** count * size bytes, contents undefined (NaN in debug builds). count may be 0. */
void *arena_alloc(struct arena *a, size_t count, size_t size);

/** As arena_alloc, all bytes zero. */
void *arena_zalloc(struct arena *a, size_t count, size_t size);

/** A copy of a string in the arena. */
char *arena_strdup(struct arena *a, const char *s);

/** printf into the arena. */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** `struct thing *p = ARENA_NEW(a, n, struct thing);`: n zeroed elements of a type. */
#define ARENA_NEW(a, n, type) ((type *)arena_zalloc((a), (n), sizeof(type)))

/** A place to come back to: release frees everything allocated since the mark was taken. */
struct arena_mark {
	void *block;
	size_t used;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_release(struct arena *a, struct arena_mark m);

/** Bytes held from the system, for the memory report. */
size_t arena_bytes(const struct arena *a);

#endif
