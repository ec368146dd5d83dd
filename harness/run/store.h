#ifndef STRIDE_RUN_STORE_H
#define STRIDE_RUN_STORE_H

#include "run/plan.h"

#include <jansson.h>
#include <stdio.h>

/**
 * A results directory:
 *
 *     DIR/cells/KEY.json, KEY.samples.csv      a cell's record, and points kept for plots
 *     DIR/checkpoints/KEY.ckpt                 a training, complete or on its way (training.h)
 *     DIR/floors/KEY.json, KEY.samples.csv     a target's noise floors, and exact points
 *     DIR/config.yaml                          the resolved configuration of the last run
 *     DIR/.lock                                held (flock) while a run works here
 *
 * A file appears whole or not at all: it is written under another name, synced and renamed. A lock
 * dies with its process, so that nothing is in the way after kill -9. Writing is thread-safe.
 */
enum { STORE_SCHEMA = 1 };

struct store;

/** What earlier runs left of a cell. */
struct store_entry {
	char key[KEY_SIZE];
	enum cell_state state;
	const char *method, *target, *message;
	const char *code; /* hash of the sources that made the record */
	bool other_code;  /* other sources than this program's had part in its training */
	long iterations;
	double train_seconds, other_seconds; /* wall clock; other is sampling and scoring */
};

/** Open for reading; a directory that is not there is empty. ERR_PARSE: a malformed record;
 *  ERR_VERSION: a record of another schema; ERR_IO. store_close is due on success. */
int store_open(struct store **out, const char *dir);

/** Open for writing: directories are made, the lock is taken, remains of killed runs are removed.
 *  Shards k of n = 1 .. of one run may share a directory; n = 0 is a whole run, alone in it.
 * ERR_BUSY: another run works here; and as store_open. */
int store_open_to_write(struct store **out, const char *dir, size_t k, size_t n);

void store_close(struct store *s); /* NULL is fine */

/** Remove what this process has started to write and not committed: before it ends at once. */
void store_abandon(struct store *s);

/** The entry of this key or NULL; every entry in turn. */
const struct store_entry *store_find(const struct store *s, const char *key);
size_t store_length(const struct store *s);
const struct store_entry *store_at(const struct store *s, size_t i);

/** The hash of the sources that made the floor of this key; NULL when there is none. */
const char *store_floor(const struct store *s, const char *key);

/** A file on its way into the store. */
struct store_file {
	FILE *stream; /* write here */
	char *path, *temporary;
};

/** Start the file DIR/NAME; then store_commit or store_discard. ERR_IO. */
int store_create(const struct store *s, const char *name, struct store_file *f);

/** Make it appear. ERR_IO when any write failed (a full disk); then nothing appears. */
int store_commit(struct store_file *f);
void store_discard(struct store_file *f);

/** The file DIR/NAME for reading; NULL when it cannot be opened. */
FILE *store_stream(const struct store *s, const char *name);

/** Rename DIR/NAME to DIR/OTHER. ERR_IO. */
int store_set_aside(const struct store *s, const char *name, const char *other);

/** Take the file DIR/NAME away, if it is there. */
void store_remove(const struct store *s, const char *name);

/** A JSON document or a text, from start to commit; store_save_at: outside of any store. */
int store_save_at(const char *path, const json_t *document);
int store_save(const struct store *s, const char *name, const json_t *document);
int store_save_text(const struct store *s, const char *name, const char *text);

#endif
