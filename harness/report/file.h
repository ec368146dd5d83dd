#ifndef STRIDE_REPORT_FILE_H
#define STRIDE_REPORT_FILE_H

#include "core/arena.h"

#include <stdio.h>

/** A file of the report on its way: it appears whole, at file_finish, or not at all. Unlike a
 *  record it is not synced: it can be made again. */
struct file {
	FILE *stream; /* write here */
	const char *path, *temporary;
};

/** ERR_IO. file_finish is due on success. The texts live in the arena. */
int file_start(struct file *f, const char *path, struct arena *a);

/** ERR_IO when any write failed (a full disk); then nothing appears. */
int file_finish(struct file *f);

/** Give it up: nothing appears. */
void file_discard(struct file *f);

#endif
