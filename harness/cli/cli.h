#ifndef STRIDE_CLI_CLI_H
#define STRIDE_CLI_CLI_H

/** Exit codes of the program. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_CELLS = 1,        /* some cells failed or diverged; the rest is there */
	EXIT_INPUT = 2,        /* bad input, or a file that could not be read or written */
	EXIT_INTERRUPTED = 130 /* what finished is kept */
};

/** The program: argv[1] is the command. Prints to standard output, errors as one line to standard
 *  error. Returns the exit code. */
int cli_main(int argc, char **argv);

/** Print this thread's last error as "stride: ..." and return its exit code. */
int cli_fail(void);

struct report_options;

/** Write the report of a results directory and say where it is. Errors of report_write. */
int cli_report(const char *dir, const struct report_options *o);

/** A command: its arguments without the program's and its own name. Each returns an exit code. */
int cmd_run(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_logp(int argc, char **argv);
int cmd_draw(int argc, char **argv);
int cmd_references(int argc, char **argv);

#endif
