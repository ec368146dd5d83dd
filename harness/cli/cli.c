#include "cli/cli.h"
#include "core/error.h"
#include "core/option.h"
#include "core/version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct entry {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "run", "run the grid of a configuration, or what is missing of it", cmd_run },
	{ "report", "tables, figures and pages of a results directory", cmd_report },
	{ "compare", "your samples against a reference or a target: every metric", cmd_compare },
	{ "weights", "evidence and its bounds from your log weights", cmd_weights },
	{ "list", "methods, targets and metrics", cmd_list },
	{ "show", "a method, target or metric with its options", cmd_show },
	{ "info", "compiler, commit, CPU, BLAS, optional parts", cmd_info },
	{ "logp", "log density at points, gradient, Hessian-vector product", cmd_logp },
	{ "draw", "exact samples of a target", cmd_draw },
	{ "plot-target", "density contours of a target with exact samples", cmd_plot_target },
	{ "references", "estimate log Z and moments that are not known", cmd_references },
};
enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

int cli_fail(void)
{
	struct error e;

	error_get(&e);
	fflush(stdout);
	fprintf(stderr, "stride: %s\n", e.text);
	return e.code == ERR_INTERRUPTED ? EXIT_INTERRUPTED : EXIT_INPUT;
}

int command_run(const struct command *c, const struct flag *flags, int argc, char **argv,
	command_body *body, void *request)
{
	struct arena *a = arena_new();
	struct texts words;
	bool help;
	int status = EXIT_DONE;
	int code = args_parse(c, flags, argc, argv, &words, &help, a);

	if (code == OK && help)
		args_help(c, flags, stdout);
	else if (code == OK)
		code = body(request, &words, &status, a);
	arena_free(a);
	return code == OK ? status : cli_fail();
}

static void print_help(FILE *out)
{
	fprintf(out, "stride COMMAND ...\n"
		     "A benchmark harness for samplers of unnormalised densities.\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
	fprintf(out,
		"\nstride COMMAND --help says more. Exit codes: 0 done; 1 some cells failed or "
		"diverged;\n2 bad input; 130 interrupted, what finished is kept.\n");
}

static int unknown_command(const char *name)
{
	const char *names[N_COMMANDS + 1] = { NULL };

	for (size_t i = 0; i < N_COMMANDS; i++)
		names[i] = commands[i].name;
	(void)option_unknown("unknown command", name, names, "stride --help");
	return cli_fail();
}

/* The command's exit status, unless what it printed got lost: a full disk, a closed pipe. */
static int printed(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	(void)fail(ERR_IO, "standard output: %s", strerror(errno));
	return status == EXIT_DONE ? cli_fail() : status;
}

int cli_main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return EXIT_INPUT;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("stride %s%s\n", version.commit, version.dirty ? ", modified" : "");
		return EXIT_DONE;
	}
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return printed(commands[i].run(argc - 2, argv + 2));
	return unknown_command(argv[1]);
}
