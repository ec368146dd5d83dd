/* The commands without options: list and info. */
#include "cli/cli.h"
#include "core/text.h"
#include "report/log_z.h"
#include "report/table.h"
#include "run/info.h"
#include "stride.h"

static const struct flag no_flags[] = { { 0 } };

/* --- list ------------------------------------------------------------------------------------- */

/* A row of the table of targets. Some take a second to make, so all are made at once. */
struct target_row {
	struct arena *arena;
	struct error error; /* code OK: it could be made */
	size_t dim;
	const char *log_z;
};

static void make_row(void *context, size_t i)
{
	struct target_row *row = (struct target_row *)context + i;
	struct density *d;
	struct log_z z;

	row->arena = arena_new();
	if (density_new(&d, targets[i]->name, NULL, 0, row->arena) != OK) {
		error_get(&row->error);
		return;
	}
	row->dim = density_dim(d);
	density_log_z(d, &z);
	row->log_z = log_z_short(&z, row->arena);
}

/* A target that cannot be made, because its data are missing, is listed all the same; the first
 * such error is the command's. */
static int table_of_targets(struct arena *a)
{
	enum { ID, DIM, LOG_Z, SAMPLER, PAPER, COLUMNS, WIDTH = 110, PAPER_MIN = 24 };
	const char *const head[COLUMNS] = { "id", "  dim", "log Z", "sampler", "paper" };
	struct target_row *rows;
	size_t n = 0, left = 0;
	int code = OK;

	while (targets[n] != NULL)
		n++;
	rows = ARENA_NEW(a, n, struct target_row);
	struct table t = table_new(COLUMNS, n, a);
	parallel_for(n, make_row, rows);
	t.text_cols = COLUMNS;
	for (size_t k = 0; k < COLUMNS; k++)
		t.head[k].text = head[k];
	for (size_t i = 0; i < n; i++) {
		const struct target_row *row = &rows[i];
		struct table_cell *cells = table_row(&t);
		cells[ID].text = targets[i]->name;
		if (row->error.code == OK) {
			cells[DIM].text = arena_printf(a, "%5zu", row->dim);
			cells[LOG_Z].text = row->log_z;
		}
		cells[SAMPLER].text = targets[i]->draw != NULL ? "yes" : "no";
	}
	for (size_t k = 0; k < PAPER; k++)
		left += table_column_width(&t, k) + 2;
	for (size_t i = 0; i < n; i++)
		t.cells[i * COLUMNS + PAPER].text = text_cut(targets[i]->paper,
			left + PAPER_MIN < WIDTH ? WIDTH - left : PAPER_MIN, a);
	table_write(&t, FORMAT_TEXT, stdout);
	for (size_t i = 0; i < n; i++) {
		if (code == OK && rows[i].error.code != OK)
			code = error_set(&rows[i].error);
		arena_free(rows[i].arena);
	}
	return code;
}

static int list(void *request, const struct texts *words, int *status, struct arena *a)
{
	const char *wanted = words->n > 0 ? words->items[0] : NULL;

	(void)request;
	(void)status;
	if (wanted != NULL && strcmp(wanted, "targets") == 0)
		return table_of_targets(a);
	for (const struct kind *k = kinds; k->name != NULL; k++) {
		struct plugin p;
		if (wanted == NULL)
			printf("%s%ss\n", k > kinds ? "\n" : "", k->name);
		else if (strncmp(wanted, k->name, strlen(k->name)) != 0 ||
			 strcmp(wanted + strlen(k->name), "s") != 0)
			continue;
		for (size_t i = 0; k->get(i, &p); i++)
			printf("  %-18s %s\n", p.name, p.title);
		if (wanted != NULL)
			return OK;
	}
	return wanted == NULL
		       ? OK
		       : fail(ERR_NAME, "list %.80s: it takes methods, targets or metrics", wanted);
}

int cmd_list(int argc, char **argv)
{
	static const struct command c = { "list", "[methods|targets|metrics]",
		"List what there is, by id; of targets alone: dimension, log Z and its kind, "
		"whether\nthere is an exact sampler, paper",
		0, 1 };

	return command_run(&c, no_flags, argc, argv, list, NULL);
}

/* --- info ------------------------------------------------------------------------------------- */

static int info(void *request, const struct texts *words, int *status, struct arena *a)
{
	(void)request;
	(void)words;
	(void)status;
	(void)a;
	info_print(stdout);
	return OK;
}

int cmd_info(int argc, char **argv)
{
	static const struct command c = { "info", "",
		"Show compiler, flags, commit, CPU, BLAS and optional parts", 0, 0 };

	return command_run(&c, no_flags, argc, argv, info, NULL);
}
