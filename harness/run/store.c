#include "run/store.h"
#include "core/version.h"

#include "core/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define TEMPORARY ".partial"

struct store {
	struct arena *arena;
	const char *dir;
	int lock, shard_lock; /* -1: not held */
	size_t n, n_floors;
	struct store_entry *entries; /* by key */
	struct floor_entry *floors;
};

/* A floor on record, and the hash of the sources that made it. */
struct floor_entry {
	char key[KEY_SIZE];
	const char *code;
};

static int fail_io(const char *path, const char *what)
{
	return fail(ERR_IO, "%s: %s: %s", path, what, strerror(errno));
}

/* --- reading ---------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key, struct arena *a)
{
	const char *s = json_string_value(json_object_get(object, key));

	return arena_strdup(a, s != NULL ? s : "");
}

static double number_of(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static enum cell_state state_of(const json_t *record)
{
	const char *name = json_string_value(json_object_get(record, "state"));

	for (int s = CELL_OK; s < CELL_STATES; s++)
		if (name != NULL && strcmp(name, cell_state_name((enum cell_state)s)) == 0)
			return (enum cell_state)s;
	return CELL_MISSING;
}

static int load_record(const char *path, const char *kind, json_t **out)
{
	json_error_t e;
	json_t *record = json_load_file(path, 0, &e);

	if (record == NULL)
		return fail(ERR_PARSE, "%s:%d: not a record: %s; delete it to run its cell again",
			path, e.line, e.text);
	const char *found = json_string_value(json_object_get(record, "kind"));
	const json_t *schema = json_object_get(record, "schema");
	int code = OK;
	if (!json_is_integer(schema) || json_integer_value(schema) != STORE_SCHEMA)
		code = fail(ERR_VERSION,
			"%s:1: schema %lld, this program writes %d; give another directory with "
			"--out",
			path, (long long)json_integer_value(schema), STORE_SCHEMA);
	else if (found == NULL || strcmp(found, kind) != 0)
		code = fail(ERR_PARSE, "%s:1: not a %s record; delete it to run its cell again",
			path, kind);
	if (code != OK)
		json_decref(record);
	else
		*out = record;
	return code;
}

/* Did other sources than the record's have part in its training? */
static bool trained_by_others(const json_t *record)
{
	const json_t *one;
	bool others = false;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(record, "training"), "code"), i, one)
		others = others || !json_is_string(one) ||
			 strcmp(json_string_value(one), version.training) != 0;
	return others;
}

static int read_cell(struct store *s, const char *path, const char *key)
{
	struct store_entry *e = &s->entries[s->n];
	json_t *record;

	TRY(load_record(path, "cell", &record));
	const json_t *cost = json_object_get(record, "cost");
	*e = (struct store_entry){
		.state = state_of(record),
		.method = text_of(record, "method", s->arena),
		.target = text_of(record, "target", s->arena),
		.message = text_of(record, "message", s->arena),
		.code = text_of(record, "code", s->arena),
		.iterations = (long)number_of(json_object_get(record, "training"), "iterations"),
		.train_seconds = number_of(cost, "train_seconds"),
		.other_seconds =
			number_of(cost, "sample_seconds") + number_of(cost, "score_seconds"),
	};
	e->other_code = trained_by_others(record);
	memcpy(e->key, key, KEY_SIZE);
	s->n++;
	json_decref(record);
	return OK;
}

static int read_floor(struct store *s, const char *path, const char *key)
{
	json_t *record;

	TRY(load_record(path, "floor", &record));
	struct floor_entry *e = &s->floors[s->n_floors++];
	memcpy(e->key, key, KEY_SIZE);
	e->code = text_of(record, "code", s->arena);
	json_decref(record);
	return OK;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

/* KEY.json? */
static bool is_record(const char *name)
{
	return strlen(name) == KEY_SIZE - 1 + 5 && ends_with(name, ".json");
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of a folder in the arena, sorted; none when the folder is not there. */
static int list_folder(const char *path, const char ***names, size_t *n, struct arena *a)
{
	DIR *d = opendir(path);
	size_t capacity = 0;
	struct dirent *e;

	*n = 0;
	*names = NULL;
	if (d == NULL)
		return errno == ENOENT ? OK : fail_io(path, "cannot be read");
	while ((e = readdir(d)) != NULL) {
		if (*n == capacity) {
			capacity = capacity > 0 ? 2 * capacity : 64;
			const char **more = ARENA_NEW(a, capacity, const char *);
			if (*n > 0)
				memcpy(more, *names, *n * sizeof(*more));
			*names = more;
		}
		(*names)[(*n)++] = arena_strdup(a, e->d_name);
	}
	closedir(d);
	if (*n > 0)
		qsort(*names, *n, sizeof(**names), compare_names);
	return OK;
}

static int read_folder(struct store *s, const char *folder,
	int (*read)(struct store *s, const char *path, const char *key))
{
	const char *path = arena_printf(s->arena, "%s/%s", s->dir, folder), **names;
	size_t n;

	TRY(list_folder(path, &names, &n, s->arena));
	if (read == read_cell)
		s->entries = ARENA_NEW(s->arena, n, struct store_entry);
	else
		s->floors = arena_zalloc(s->arena, n, sizeof(*s->floors));
	for (size_t i = 0; i < n; i++) {
		char key[KEY_SIZE] = "";
		if (!is_record(names[i]))
			continue;
		memcpy(key, names[i], KEY_SIZE - 1);
		TRY(read(s, arena_printf(s->arena, "%s/%s", path, names[i]), key));
	}
	return OK;
}

static int read_all(struct store *s)
{
	TRY(read_folder(s, "cells", read_cell));
	return read_folder(s, "floors", read_floor);
}

static int compare_entries(const void *key, const void *entry)
{
	return strcmp(key, ((const struct store_entry *)entry)->key);
}

const struct store_entry *store_find(const struct store *s, const char *key)
{
	if (s->n == 0)
		return NULL;
	return bsearch(key, s->entries, s->n, sizeof(*s->entries), compare_entries);
}

size_t store_length(const struct store *s)
{
	return s->n;
}

const struct store_entry *store_at(const struct store *s, size_t i)
{
	return &s->entries[i];
}

const char *store_floor(const struct store *s, const char *key)
{
	for (size_t i = 0; i < s->n_floors; i++)
		if (strcmp(s->floors[i].key, key) == 0)
			return s->floors[i].code;
	return NULL;
}

/* --- opening ---------------------------------------------------------------------------------- */

static struct store *store_new(const char *dir)
{
	struct arena *a = arena_new();
	struct store *s = ARENA_NEW(a, 1, struct store);

	s->arena = a;
	s->dir = arena_strdup(a, dir);
	s->lock = s->shard_lock = -1;
	return s;
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	if (s->shard_lock >= 0)
		close(s->shard_lock);
	if (s->lock >= 0)
		close(s->lock);
	arena_free(s->arena);
}

int store_open(struct store **out, const char *dir)
{
	struct store *s = store_new(dir);
	int code = read_all(s);

	if (code != OK)
		store_close(s);
	else
		*out = s;
	return code;
}

static int make_folder(const char *path)
{
	struct error e;

	if (folder_make(path) == OK)
		return OK;
	error_get(&e);
	return fail(ERR_IO, "%.900s; give another with --out", e.text);
}

/* Open and lock DIR/NAME; *fd stays open while the lock is held. */
static int take_lock(struct store *s, const char *name, int operation, int *fd)
{
	const char *path = arena_printf(s->arena, "%s/%s", s->dir, name);

	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (*fd < 0)
		return fail(ERR_IO, "%s: cannot be written: %s; give another directory with --out",
			path, strerror(errno));
	if (flock(*fd, operation | LOCK_NB) == 0)
		return OK;
	if (errno == EWOULDBLOCK)
		return fail(ERR_BUSY,
			"%s: another run works in this directory; wait for it, or give another "
			"--out",
			s->dir);
	return fail_io(path, "cannot be locked");
}

/* Remove files that were never finished: those with this ending. */
static int sweep(struct store *s, const char *folder, const char *ending)
{
	const char *path = arena_printf(s->arena, "%s/%s", s->dir, folder), **names;
	size_t n;

	TRY(list_folder(path, &names, &n, s->arena));
	for (size_t i = 0; i < n; i++)
		if (ends_with(names[i], ending))
			unlink(arena_printf(s->arena, "%s/%s", path, names[i]));
	return OK;
}

static int sweep_all(struct store *s, const char *ending)
{
	TRY(sweep(s, ".", ending));
	TRY(sweep(s, "cells", ending));
	TRY(sweep(s, "checkpoints", ending));
	return sweep(s, "floors", ending);
}

/* How this process's unfinished files end. With the process in the name, shards do not meet. */
static const char *own_ending(char text[32])
{
	snprintf(text, 32, ".%ld" TEMPORARY, (long)getpid());
	return text;
}

void store_abandon(struct store *s)
{
	char ending[32];

	(void)sweep_all(s, own_ending(ending));
}

static int prepare(struct store *s, size_t k, size_t n)
{
	TRY(make_folder(s->dir));
	TRY(take_lock(s, ".lock", n > 0 ? LOCK_SH : LOCK_EX, &s->lock));
	if (n > 0)
		TRY(take_lock(s, arena_printf(s->arena, ".lock-%zu-of-%zu", k, n), LOCK_EX,
			&s->shard_lock));
	TRY(make_folder(arena_printf(s->arena, "%s/cells", s->dir)));
	TRY(make_folder(arena_printf(s->arena, "%s/checkpoints", s->dir)));
	TRY(make_folder(arena_printf(s->arena, "%s/floors", s->dir)));
	if (n == 0)
		TRY(sweep_all(s, TEMPORARY));
	return read_all(s);
}

int store_open_to_write(struct store **out, const char *dir, size_t k, size_t n)
{
	struct store *s = store_new(dir);
	int code = prepare(s, k, n);

	if (code != OK)
		store_close(s);
	else
		*out = s;
	return code;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* The file at f->path, which becomes f's. */
static int create(struct store_file *f)
{
	char ending[32];

	invariant(asprintf(&f->temporary, "%s%s", f->path, own_ending(ending)) > 0);
	f->stream = fopen(f->temporary, "w");
	if (f->stream != NULL)
		return OK;
	int code = fail_io(f->temporary, "cannot be written");
	store_discard(f);
	return code;
}

int store_create(const struct store *s, const char *name, struct store_file *f)
{
	invariant(asprintf(&f->path, "%s/%s", s->dir, name) > 0);
	return create(f);
}

void store_discard(struct store_file *f)
{
	if (f->stream != NULL)
		fclose(f->stream);
	if (f->temporary != NULL)
		unlink(f->temporary);
	free(f->temporary);
	free(f->path);
	*f = (struct store_file){ 0 };
}

/* A rename is on disk when its folder is. File systems that cannot sync folders are left alone. */
static void sync_folder(const char *path)
{
	char *folder = strdup(path);

	invariant(folder != NULL);
	*strrchr(folder, '/') = '\0';
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	free(folder);
}

int store_commit(struct store_file *f)
{
	bool good = !ferror(f->stream) && fflush(f->stream) == 0 && fsync(fileno(f->stream)) == 0;
	good = fclose(f->stream) == 0 && good;
	f->stream = NULL;
	good = good && rename(f->temporary, f->path) == 0;
	int code =
		good ? OK
		     : fail(ERR_IO, "%s: cannot be written: %s; make room, or give another --out",
			       f->path, strerror(errno));
	if (good)
		sync_folder(f->path);
	store_discard(f);
	return code;
}

FILE *store_stream(const struct store *s, const char *name)
{
	char *path;

	invariant(asprintf(&path, "%s/%s", s->dir, name) > 0);
	FILE *f = fopen(path, "r");
	free(path);
	return f;
}

int store_set_aside(const struct store *s, const char *name, const char *other)
{
	char *from, *to;

	invariant(asprintf(&from, "%s/%s", s->dir, name) > 0);
	invariant(asprintf(&to, "%s/%s", s->dir, other) > 0);
	int code = rename(from, to) == 0 ? OK : fail_io(from, "cannot be renamed");
	free(from);
	free(to);
	return code;
}

void store_remove(const struct store *s, const char *name)
{
	char *path;

	invariant(asprintf(&path, "%s/%s", s->dir, name) > 0);
	unlink(path);
	free(path);
}

static int save(struct store_file *f, const json_t *document)
{
	(void)json_dumpf(document, f->stream, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
	fputc('\n', f->stream);
	return store_commit(f);
}

int store_save(const struct store *s, const char *name, const json_t *document)
{
	struct store_file f;

	TRY(store_create(s, name, &f));
	return save(&f, document);
}

int store_save_at(const char *path, const json_t *document)
{
	struct store_file f;

	invariant(asprintf(&f.path, "%s", path) > 0);
	TRY(create(&f));
	return save(&f, document);
}

int store_save_text(const struct store *s, const char *name, const char *text)
{
	struct store_file f;

	TRY(store_create(s, name, &f));
	fputs(text, f.stream);
	return store_commit(&f);
}
