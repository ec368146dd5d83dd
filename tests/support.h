#ifndef STRIDE_TESTS_SUPPORT_H
#define STRIDE_TESTS_SUPPORT_H

/* What the tests of the run layer share: a temporary folder, files in it, and runs in a child process.
 * A child because a run uses OpenMP, signals and exit codes; the parent must not use OpenMP, whose
 * threads do not survive a fork. */

#include <cblas.h>
#include <dirent.h>
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
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* cmocka's fail() gives way to stride's. */
#undef fail
#undef fail_msg
#define fail_msg(...) (print_error(__VA_ARGS__), _fail(__FILE__, __LINE__))
#include "cli/cli.h"
#include "core/error.h"
#include "run/record.h"

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

	snprintf(path, PATH_LENGTH, "%s/%.400s", f->path, name);
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
	setvbuf(stderr, NULL, _IONBF, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing outlives a test that is killed */
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

static inline bool output_has_quietly(const struct folder *f, const char *name, const char *what)
{
	char *text = read_file(in_folder(f, name));
	bool has = strstr(text, what) != NULL;

	free(text);
	return has;
}

/* Does the text of FOLDER/NAME contain this? Shows the text when not. */
static inline bool output_has(const struct folder *f, const char *name, const char *what)
{
	bool has = output_has_quietly(f, name, what);

	if (!has) {
		char *text = read_file(in_folder(f, name));
		print_message("no \"%s\" in %s:\n%s\n", what, name, text);
		free(text);
	}
	return has;
}

/* Is FOLDER/err one line that begins with "stride: "? */
static inline bool error_is_one_line(const struct folder *f)
{
	char *text = read_file(in_folder(f, "err"));
	size_t line = strcspn(text, "\n"), length = strlen(text);
	bool one = strncmp(text, "stride: ", 8) == 0 && line + 1 == length;

	if (!one)
		print_message("not one line: %s\n", text);
	free(text);
	return one;
}

static inline bool same_file(const char *a, const char *b)
{
	size_t n = strlen(a);
	bool same = false;

	if (n > 5 && strcmp(a + n - 5, ".json") == 0)
		return record_same(a, b, &same) == OK && same;
	char *text_a = read_file(a), *text_b = read_file(b);
	same = strcmp(text_a, text_b) == 0;
	free(text_a);
	free(text_b);
	return same;
}

/* Do all of FOLDER/A's records and points say the same as FOLDER/B's? Shows what differs. */
static inline bool same_results(const struct folder *f, const char *a, const char *b)
{
	static const char *const folders[] = { "cells", "floors" };
	size_t counts[2] = { 0, 0 };
	bool same = true;

	for (size_t side = 0; side < 2; side++)
		for (size_t i = 0; i < 2; i++) {
			char path[PATH_LENGTH], other[PATH_LENGTH];
			snprintf(path, sizeof(path), "%s/%s/%s", f->path, side == 0 ? a : b,
				folders[i]);
			DIR *d = opendir(path);
			assert_non_null(d);
			for (struct dirent *e; (e = readdir(d)) != NULL;) {
				if (e->d_name[0] == '.')
					continue;
				counts[side]++;
				snprintf(path, sizeof(path), "%s/%s/%s/%s", f->path, a, folders[i],
					e->d_name);
				snprintf(other, sizeof(other), "%s/%s/%s/%s", f->path, b,
					folders[i], e->d_name);
				bool equal = side == 1 || same_file(path, other);
				if (!equal)
					print_message("%s and %s differ\n", path, other);
				same = same && equal;
			}
			closedir(d);
		}
	if (counts[0] != counts[1])
		print_message("%s has %zu files, %s has %zu\n", a, counts[0], b, counts[1]);
	return same && counts[0] == counts[1] && counts[0] > 0;
}

#endif
