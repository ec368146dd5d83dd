#ifndef STRIDE_CLI_CLI_H
#define STRIDE_CLI_CLI_H

#include "cli/args.h"

/** Exit codes of the program. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_CELLS = 1,        /* some cells or runs failed or diverged; the rest is there */
	EXIT_INPUT = 2,        /* bad input, or a file that could not be read or written */
	EXIT_INTERRUPTED = 130 /* what finished is kept */
};

/** The program: argv[1] is the command. Prints to standard output, errors as one line to standard
 *  error. Returns the exit code. */
int cli_main(int argc, char **argv);

/** Print this thread's last error as "stride: ..." and return its exit code. */
int cli_fail(void);

/** What a command does with its words; request is the struct that its flags point into. *status is
 *  EXIT_DONE, and the exit code when the body returns OK. Errors are printed by command_run. */
typedef int command_body(void *request, const struct texts *words, int *status, struct arena *a);

/** Run a command: parse its arguments, then --help or the body, whose arena is freed after it.
 *  Returns the exit code. */
int command_run(const struct command *c, const struct flag *flags, int argc, char **argv,
	command_body *body, void *request);

struct density;
struct setting;

/** The options of --set TARGET.OPTION=VALUE, [sets->n] in the arena. ERR_NAME: no such target; ERR_PARSE: a
 *  set that is not of this form or of another target. */
int cli_settings(struct setting **out, const char *target, const struct texts *sets,
	struct arena *a);

/** The target of that name with the options of --set TARGET.OPTION=VALUE. ERR_PARSE: a set that is
 *  not of this form or of another target; errors of density_new. */
int cli_density(struct density **d, const char *target, const struct texts *sets, struct arena *a);

/** The flag for these sets. */
#define TARGET_SET_FLAG(sets)                                           \
	{                                                               \
		"set", 0, FLAG_TEXTS, sets, "TARGET.OPTION=VALUE",      \
			"an option of the target: --set funnel.clip=30" \
	}

/** A plug-in of any kind. */
struct plugin {
	const char *name, *title;
};

struct show_request;

/** The kinds of plug-ins, in the order of lists (cmd_show.c). */
struct kind {
	const char *name;                          /* "method"; NULL ends the table */
	bool (*get)(size_t i, struct plugin *out); /* false: there are no more than i */
	int (*show)(size_t i, const struct show_request *q, struct arena *a);
};
extern const struct kind kinds[];

struct report_options;

/** Write the report of a results directory and say where it is. Errors of report_write. */
int cli_report(const char *dir, const struct report_options *o);

/** A command: its arguments without the program's and its own name. Each returns an exit code. */
int cmd_compare(int argc, char **argv);
int cmd_weights(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_logp(int argc, char **argv);
int cmd_draw(int argc, char **argv);
int cmd_plot_target(int argc, char **argv);
int cmd_references(int argc, char **argv);

#endif
