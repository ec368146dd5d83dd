#ifndef STRIDE_CORE_CHECKPOINT_H
#define STRIDE_CORE_CHECKPOINT_H

#include "core/arena.h"
#include "core/hash.h"

#include <stdbool.h>
#include <stdio.h>

/**
 * A checkpoint: named pieces of memory that are written to a file together and put back from it. The
 * pieces stay where they are; a checkpoint only points at them.
 */
struct checkpoint;

/** An empty one, in the arena. complete: of a training that is over, without what is added as
 *  passing. */
struct checkpoint *checkpoint_new(bool complete, struct arena *a);

/** bytes of memory at data, under a name of its own, which is copied. */
void checkpoint_add(struct checkpoint *k, const char *name, void *data, size_t bytes);

/** The same for what only further training needs: an optimiser's moments. */
void checkpoint_add_passing(struct checkpoint *k, const char *name, void *data, size_t bytes);

/** Digest of the pieces' names, sizes and contents as they are now. */
void checkpoint_digest(const struct checkpoint *k, char digest[KEY_SIZE]);

/** Every piece with its name, size and a digest of the whole. The caller looks for errors of the
 *  stream. */
void checkpoint_write(const struct checkpoint *k, FILE *f);

/** Put the pieces back: all of them, or none with ERR_PARSE when the file has others, other sizes or
 *  another digest. */
int checkpoint_read(const struct checkpoint *k, FILE *f);

#endif
