#include "cli/cli.h"
#include "run/info.h"

#include <cblas.h>
#include <gsl/gsl_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* OpenBLAS chooses its kernels while it is loaded: a better choice needs a new start, once. */
static void restart_with_better_core(char **argv)
{
	const char *core = info_better_core();

	if (core == NULL || getenv("OPENBLAS_CORETYPE") != NULL)
		return;
	setenv("OPENBLAS_CORETYPE", core, 1);
	setenv("STRIDE_CORETYPE_SET", "1", 1);
	execv("/proc/self/exe", argv);
	/* Not possible here: slower, and otherwise the same. */
}

int main(int argc, char **argv)
{
	gsl_set_error_handler_off();
	restart_with_better_core(argv);
	openblas_set_num_threads(1);
	return cli_main(argc, argv);
}
