#include "core/checkpoint.h"
#include "core/error.h"

#include <string.h>

struct piece {
	const char *name;
	void *data;
	size_t bytes;
};

struct checkpoint {
	bool complete;
	struct arena *arena;
	size_t n, capacity;
	struct piece *pieces;
};

struct checkpoint *checkpoint_new(bool complete, struct arena *a)
{
	struct checkpoint *k = ARENA_NEW(a, 1, struct checkpoint);

	*k = (struct checkpoint){ .complete = complete, .arena = a };
	return k;
}

void checkpoint_add(struct checkpoint *k, const char *name, void *data, size_t bytes)
{
	for (size_t i = 0; i < k->n; i++)
		invariant(strcmp(k->pieces[i].name, name) != 0);
	if (k->n == k->capacity) {
		size_t more = k->capacity > 0 ? 2 * k->capacity : 8;
		struct piece *wider = ARENA_NEW(k->arena, more, struct piece);
		for (size_t i = 0; i < k->n; i++)
			wider[i] = k->pieces[i];
		k->pieces = wider;
		k->capacity = more;
	}
	k->pieces[k->n++] = (struct piece){ arena_strdup(k->arena, name), data, bytes };
}

void checkpoint_add_passing(struct checkpoint *k, const char *name, void *data, size_t bytes)
{
	if (!k->complete)
		checkpoint_add(k, name, data, bytes);
}

void checkpoint_digest(const struct checkpoint *k, char digest[KEY_SIZE])
{
	struct hash h;

	hash_init(&h);
	for (size_t i = 0; i < k->n; i++) {
		hash_printf(&h, "%s %zu\n", k->pieces[i].name, k->pieces[i].bytes);
		hash_bytes(&h, k->pieces[i].data, k->pieces[i].bytes);
	}
	hash_key(&h, digest);
}

void checkpoint_write(const struct checkpoint *k, FILE *f)
{
	char key[KEY_SIZE];

	checkpoint_digest(k, key);
	fprintf(f, "pieces %zu %s\n", k->n, key);
	for (size_t i = 0; i < k->n; i++)
		fprintf(f, "%s %zu\n", k->pieces[i].name, k->pieces[i].bytes);
	for (size_t i = 0; i < k->n; i++)
		fwrite(k->pieces[i].data, 1, k->pieces[i].bytes, f);
}

/* Is the next line this one? */
static bool line_is(FILE *f, const char *want)
{
	for (; *want != '\0'; want++)
		if (fgetc(f) != (unsigned char)*want)
			return false;
	return fgetc(f) == '\n';
}

int checkpoint_read(const struct checkpoint *k, FILE *f)
{
	struct arena *a = arena_new();
	struct checkpoint read = *k; /* the same names and sizes at other places */
	char key[KEY_SIZE], found[KEY_SIZE];
	size_t n;
	int code = OK;

	read.pieces = ARENA_NEW(a, k->n, struct piece);
	if (fscanf(f, "pieces %zu %16[0-9a-f]", &n, key) != 2 || n != k->n || fgetc(f) != '\n')
		code = fail(ERR_PARSE, "the checkpoint does not have %zu pieces", k->n);
	for (size_t i = 0; i < k->n && code == OK; i++) {
		const struct piece *p = &k->pieces[i];
		if (!line_is(f, arena_printf(a, "%s %zu", p->name, p->bytes)))
			code = fail(ERR_PARSE, "the checkpoint has no %s of %zu bytes at its place",
				p->name, p->bytes);
		read.pieces[i] = (struct piece){ p->name, arena_alloc(a, p->bytes, 1), p->bytes };
	}
	for (size_t i = 0; i < k->n && code == OK; i++)
		if (fread(read.pieces[i].data, 1, read.pieces[i].bytes, f) != read.pieces[i].bytes)
			code = fail(ERR_PARSE, "the checkpoint ends early");
	if (code == OK) {
		checkpoint_digest(&read, found);
		if (strcmp(found, key) != 0)
			code = fail(ERR_PARSE, "the checkpoint is damaged");
	}
	for (size_t i = 0; i < k->n && code == OK; i++)
		memcpy(k->pieces[i].data, read.pieces[i].data, k->pieces[i].bytes);
	arena_free(a);
	return code;
}
