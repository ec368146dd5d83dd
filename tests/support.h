#ifndef STRIDE_TESTS_SUPPORT_H
#define STRIDE_TESTS_SUPPORT_H

/* What the tests of the run layer share: a temporary folder, files in it, and runs in a child process.
 * A child because a run uses OpenMP, signals and exit codes; the parent must not use OpenMP, whose
 * threads do not survive a fork. */

#include "cli/cli.h"
#include "core/error.h"

#include <cblas.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGS_MAX = 24, PATH_LENGTH = 512 };

/* A folder of its own for each test. */
struct folder {
	char path[64];
};

static inline int folder_setup(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));

	strcpy(f->path, "/tmp/stride_test_XXXXXX");
	assert_non_null(mkdtemp(f->path));
	*state = f;
	return 0;
}

static inline int folder_teardown(void **state)
{
	struct folder *f = *state;
	char command[PATH_LENGTH];

	snprintf(command, sizeof(command), "rm -rf '%s'", f->path);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* FOLDER/NAME in one of a few buffers that are used in turn. */
static inline const char *in_folder(const struct folder *f, const char *name)
{
	static char paths[8][PATH_LENGTH];
	static int next;
	char *path = paths[next++ % 8];

	snprintf(path, PATH_LENGTH, "%s/%s", f->path, name);
	return path;
}

static inline const char *write_file(const struct folder *f, const char *name, const char *text)
{
	const char *path = in_folder(f, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	return path;
}

/* The whole file, to be freed; an empty text when it is not there. */
static inline char *read_file(const char *path)
{
	char *text = NULL;
	size_t size = 0, got;
	char buffer[4096];
	FILE *in = fopen(path, "r"), *out = open_memstream(&text, &size);

	while (in != NULL && (got = fread(buffer, 1, sizeof(buffer), in)) > 0)
		fwrite(buffer, 1, got, out);
	if (in != NULL)
		fclose(in);
	fclose(out);
	return text;
}

static inline bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* Start body(context) in a child whose output goes to FOLDER/out and FOLDER/err. */
static inline pid_t start_child(const struct folder *f, int (*body)(void *context), void *context)
{
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child > 0)
		return child;
	if (freopen(in_folder(f, "out"), "w", stdout) == NULL ||
		freopen(in_folder(f, "err"), "w", stderr) == NULL)
		_exit(99);
	openblas_set_num_threads(1);
	int code = body(context);
	fflush(NULL);
	_exit(code);
}

/* Exit code, or 1000 + the signal that killed it. */
static inline int wait_child(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static inline int run_child(const struct folder *f, int (*body)(void *context), void *context)
{
	return wait_child(start_child(f, body, context));
}

struct stride_args {
	int n;
	const char *words[ARGS_MAX];
};

static inline int stride_body(void *context)
{
	struct stride_args *a = context;

	return cli_main(a->n, (char **)a->words);
}

/* "stride WORDS...", words separated by blanks; %s is replaced by the folder's path. */
static inline void split_words(const struct folder *f, const char *words, char text[PATH_LENGTH],
	struct stride_args *a)
{
	size_t used = 0;

	for (const char *s = words; *s != '\0'; s++) {
		if (s[0] == '%' && s[1] == 's') {
			used += (size_t)snprintf(text + used, PATH_LENGTH - used, "%s", f->path);
			s++;
		} else {
			text[used++] = *s;
		}
	}
	text[used] = '\0';
	*a = (struct stride_args){ .n = 1, .words = { "stride" } };
	for (char *word; (word = strsep(&text, " ")) != NULL;)
		if (*word != '\0')
			a->words[a->n++] = word;
}

static inline pid_t start_stride(const struct folder *f, const char *words)
{
	static char text[PATH_LENGTH];
	static struct stride_args a;

	split_words(f, words, text, &a);
	return start_child(f, stride_body, &a);
}

/* Exit code of "stride WORDS..."; its output is in FOLDER/out and FOLDER/err. */
static inline int stride(const struct folder *f, const char *words)
{
	return wait_child(start_stride(f, words));
}

/* Does the text of FOLDER/NAME contain this? Shows the text when not. */
static inline bool output_has(const struct folder *f, const char *name, const char *what)
{
	char *text = read_file(in_folder(f, name));
	bool has = strstr(text, what) != NULL;

	if (!has)
		print_message("no \"%s\" in %s:\n%s\n", what, name, text);
	free(text);
	return has;
}

/* Is FOLDER/err one line that begins with "stride: "? */
static inline bool error_is_one_line(const struct folder *f)
{
	char *text = read_file(in_folder(f, "err"));
	char *end = strchr(text, '\n');
	bool one = strncmp(text, "stride: ", 8) == 0 && end != NULL && end[1] == '\0';

	if (!one)
		print_message("not one line: %s\n", text);
	free(text);
	return one;
}

#endif
