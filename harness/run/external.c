#include "run/external.h"
#include "run/process.h"
#include "run/weights_file.h"
#include "core/table_file.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- placeholders ----------------------------------------------------------------------------- */

enum { VALUES = 8 };

struct named {
	const char *name, *value; /* value NULL: it has none in this call */
};

static void list_values(struct named out[VALUES], const struct external_call *c, struct arena *a)
{
	const struct named all[VALUES] = {
		{ "target", c->target },
		{ "n", arena_printf(a, "%zu", c->n) },
		{ "dim", arena_printf(a, "%zu", c->dim) },
		{ "steps", arena_printf(a, "%zu", c->steps) },
		{ "seed", arena_printf(a, "%llu", (unsigned long long)c->seed) },
		{ "repeat", arena_printf(a, "%u", c->repeat) },
		{ "out", c->out },
		{ "script", c->script },
	};

	memcpy(out, all, sizeof(all));
}

/* The value that "{name}" at the head of s stands for; its length with the braces in *length. */
static const char *value_at(const char *s, const struct named *values, size_t *length)
{
	for (size_t i = 0; i < VALUES; i++) {
		size_t n = strlen(values[i].name);
		if (s[0] == '{' && strncmp(s + 1, values[i].name, n) == 0 && s[n + 1] == '}') {
			*length = n + 2;
			return values[i].value;
		}
	}
	return NULL;
}

const char *external_expand(const char *pattern, const struct external_call *call, struct arena *a)
{
	struct named values[VALUES];
	char *text = NULL;
	size_t size = 0, length;

	list_values(values, call, a);
	FILE *f = open_memstream(&text, &size);
	invariant(f != NULL);
	for (const char *s = pattern; *s != '\0';) {
		const char *value = value_at(s, values, &length);
		if (value != NULL) {
			fputs(value, f);
			s += length;
		} else {
			fputc(*s++, f);
		}
	}
	fclose(f);
	const char *expanded = arena_strdup(a, text);
	free(text);
	return expanded;
}

/* --- a command -------------------------------------------------------------------------------- */

static const char **environment_of(const struct external_call *c, struct arena *a)
{
	const char **out = ARENA_NEW(a, VALUES + 1, const char *);
	struct named values[VALUES];
	size_t n = 0;

	list_values(values, c, a);
	for (size_t i = 0; i < VALUES; i++) {
		if (values[i].value == NULL)
			continue;
		char *line = arena_printf(a, "STRIDE_%s=%s", values[i].name, values[i].value);
		for (char *s = line; *s != '='; s++)
			*s = *s >= 'a' && *s <= 'z' ? (char)(*s - 'a' + 'A') : *s;
		out[n++] = line;
	}
	return out;
}

static int go_on(void *context)
{
	return cell_go_on(context);
}

int external_run(const char *command, struct external_call *call, const struct cell *c,
	struct arena *a)
{
	const char *parent = getenv("TMPDIR");
	char *folder = arena_printf(a, "%s/stride-XXXXXX",
		parent != NULL && parent[0] != '\0' ? parent : "/tmp");

	if (mkdtemp(folder) == NULL)
		return fail(ERR_IO, "%s: cannot be made: %s; $TMPDIR names another folder", folder,
			strerror(errno));
	call->out = folder;
	return process_run(external_expand(command, call, a), environment_of(call, a), go_on,
		(void *)c, a);
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *place)
{
	(void)s, (void)kind, (void)place;
	(void)remove(path);
	return 0;
}

void external_remove(const struct external_call *call)
{
	enum { OPEN_FOLDERS = 8 };

	if (call->out != NULL)
		(void)nftw(call->out, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
}

int external_output(const struct external_call *call, const char *name, const char **path,
	struct arena *a)
{
	static const char *const endings[] = { "npy", "csv" };

	*path = NULL;
	for (size_t i = 0; i < 2; i++) {
		const char *one = arena_printf(a, "%s/%s.%s", call->out, name, endings[i]);
		if (access(one, F_OK) != 0)
			continue;
		if (*path != NULL)
			return fail(ERR_PARSE,
				"the command wrote both %s.npy and %s.csv; one is right", name,
				name);
		*path = one;
	}
	return OK;
}

/* --- files ------------------------------------------------------------------------------------ */

int external_samples(const char *path, const struct external_call *call, double *x, struct arena *a)
{
	struct table_file t;

	TRY(table_file_read(&t, path, a));
	if (t.rows != call->n || t.cols != call->dim)
		return fail(ERR_PARSE,
			"%s: %zu rows of %zu columns; %zu samples in %zu dimensions are expected",
			t.path, t.rows, t.cols, call->n, call->dim);
	memcpy(x, t.x, t.rows * t.cols * sizeof(*x));
	return OK;
}

int external_weights(const char *path, struct draws *d, struct arena *a)
{
	struct weights_file w;

	TRY(weights_file_read(&w, path, NULL, a));
	if (w.n != d->n)
		return fail(ERR_PARSE, "%s: %zu rows; %zu are expected, one a sample", w.path, w.n,
			d->n);
	if (w.log_w == NULL)
		return fail(ERR_PARSE,
			"%s: no column log_w; log weights of the samples are "
			"expected",
			w.path);
	memcpy(d->log_w, w.log_w, w.n * sizeof(*w.log_w));
	d->no_forward = w.log_w_forward == NULL || d->log_w_forward == NULL;
	if (!d->no_forward)
		memcpy(d->log_w_forward, w.log_w_forward, w.n * sizeof(*w.log_w_forward));
	return OK;
}
