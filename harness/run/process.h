#ifndef STRIDE_RUN_PROCESS_H
#define STRIDE_RUN_PROCESS_H

#include "core/arena.h"

/**
 * Run a command by /bin/sh -c and wait for its end. It gets no input, and NAME=VALUE of `environment`,
 * which ends with NULL, beside the program's own. It has a process group of its own, all of which is
 * ended when the command is: also when stride dies, the shell at least.
 *
 * go_on(context) is asked meanwhile, many times a second; what it returns but OK ends the command, and is
 * returned. ERR_IO: the command could not be started, failed, or was killed; the text has its exit status
 * and the end of what it printed. Thread-safe.
 */
int process_run(const char *command, const char *const *environment, int (*go_on)(void *context),
	void *context, struct arena *a);

#endif
