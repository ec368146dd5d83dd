#include "report/report.h"

#include "core/folder.h"
#include "core/place.h"
#include "report/file.h"
#include "report/leaderboard.h"
#include "report/page.h"

#include <errno.h>
#include <stdlib.h>

/* What the writing of one report shares. */
struct job {
	const char *folder; /* DIR/report */
	const struct report_options *options;
	struct model model;
	struct page_papers papers;
	struct figures figures;
	struct arena *arena;
};

typedef void board_writer(const struct board *b, FILE *out, struct arena *a);

static int write_board_file(const struct job *j, const struct board *b, const char *ending,
	board_writer *write)
{
	const char *path =
		arena_printf(j->arena, "%s/leaderboard-%s.%s", j->folder, b->slug, ending);
	struct file f;

	TRY(file_start(&f, path, j->arena));
	write(b, f.stream, j->arena);
	return file_finish(&f);
}

static void board_page(const struct board *b, FILE *out, struct arena *a)
{
	fputs("# ", out);
	text_write(b->title, FORMAT_MARKDOWN, out);
	fputs("\n\n", out);
	leaderboard_markdown(b, out, a);
	for (size_t i = 0; legend[i]; i++) {
		text_write(legend[i], FORMAT_MARKDOWN, out);
		fputs(legend[i + 1] ? "\n\n" : "\n", out);
	}
}

static int write_tables(const struct job *j)
{
	struct file f;

	for (size_t i = 0; i < j->model.n_boards; i++) {
		const struct board *b = &j->model.boards[i];

		TRY(write_board_file(j, b, "md", board_page));
		TRY(write_board_file(j, b, "tex", leaderboard_latex));
		TRY(write_board_file(j, b, "csv", leaderboard_csv));
	}
	TRY(file_start(&f, arena_printf(j->arena, "%s/long.csv", j->folder), j->arena));
	long_csv(j->model.records, f.stream, j->arena);
	TRY(file_finish(&f));
	if (!j->papers.numbers.n || j->papers.from)
		return OK;
	TRY(file_start(&f, arena_printf(j->arena, "%s/papers.csv", j->folder), j->arena));
	papers_csv(&j->papers.numbers, f.stream);
	return file_finish(&f);
}

static int write_page(const struct job *j, const char *path, enum format format, const char *base)
{
	struct file f;

	TRY(file_start(&f, path, j->arena));
	page_write(&j->model, &j->papers, &j->figures, format, base, f.stream, j->arena);
	return file_finish(&f);
}

/* The way from the folder of a file to the folder of the report, with a slash at its end. */
static int way_to(const char *folder, const char *file, const char **out, struct arena *a)
{
	const char *slash = strrchr(file, '/');
	char *from = realpath(slash ? arena_printf(a, "%.*s", (int)(slash - file + 1), file) : ".",
		NULL);
	char *to = realpath(folder, NULL);
	size_t same = 0;
	int code = OK;

	*out = "";
	if (!from || !to) {
		code = fail(ERR_IO, "%s: %s", file, strerror(errno));
	} else {
		for (size_t i = 0; from[i] == to[i] || !from[i] || !to[i]; i++) {
			if ((!from[i] || from[i] == '/') && (!to[i] || to[i] == '/'))
				same = i;
			if (!from[i] || !to[i])
				break;
		}
		for (const char *p = from + same; *p; p++)
			if (*p == '/' && p[1])
				*out = arena_printf(a, "%s../", *out);
		if (to[same])
			*out = arena_printf(a, "%s%s/", *out, to + same + (to[same] == '/'));
	}
	free(from);
	free(to);
	return code;
}

static int write_pages(const struct job *j)
{
	const char *top = j->options->top, *base;
	struct arena *a = j->arena;

	TRY(write_page(j, arena_printf(a, "%s/report.html", j->folder), FORMAT_HTML, ""));
	TRY(write_page(j, arena_printf(a, "%s/REPORT.md", j->folder), FORMAT_MARKDOWN, ""));
	if (!top)
		return OK;
	TRY(way_to(j->folder, top, &base, a));
	return write_page(j, top, FORMAT_MARKDOWN, base);
}

static int load(const char *dir, const struct report_options *o, struct model *m, struct arena *a)
{
	struct records *r = ARENA_NEW(a, 1, struct records);

	TRY(records_read(dir, r, a));
	model_make(m, r, o->metrics ? o->metrics : metrics, a);
	return OK;
}

/* All records of a directory count here, of whichever configuration. Without a table of published
 * numbers there is nothing to compare with. */
static int compare(const char *dir, const struct report_options *o, struct page_papers *out,
	struct arena *a)
{
	const char *published =
		o->published ? o->published
			     : place_find("configs/papers", "configs/papers", "published.csv", a);
	const char *from = o->papers ? o->papers : dir;
	struct records *r = ARENA_NEW(a, 1, struct records);
	struct model *m = ARENA_NEW(a, 1, struct model);
	struct papers *p = ARENA_NEW(a, 1, struct papers);

	*out = (struct page_papers){ .from = o->papers };
	if (!published)
		return OK;
	TRY(records_read_all(from, r, a));
	model_make(m, r, o->metrics ? o->metrics : metrics, a);
	TRY(papers_read(p, published, arena_printf(a, "%s/notes.csv", from), a));
	papers_compare(&out->numbers, m, p, a);
	return OK;
}

/* What gnuplot said, or that there is none. */
static void tell_undrawn(const struct job *j)
{
	FILE *log = j->options->log ? j->options->log : stderr;
	const struct figures *f = &j->figures;
	size_t undrawn = 0;

	for (size_t i = 0; i < f->n; i++) {
		undrawn += !f->no_gnuplot && !f->list[i].drawn;
		if (f->list[i].problem)
			fprintf(log, "stride: %s\n", f->list[i].problem);
	}
	if (j->options->undrawn)
		*j->options->undrawn = undrawn;
	if (f->no_gnuplot)
		fprintf(log, "stride: no figures: %s\n", gnuplot_missing);
}

static int write_all(struct job *j, const char *dir)
{
	struct arena *a = j->arena;

	TRY(load(dir, j->options, &j->model, a));
	TRY(compare(dir, j->options, &j->papers, a));
	TRY(folder_make(j->folder));
	TRY(write_tables(j));
	if (!j->options->no_figures) {
		TRY(folder_make(arena_printf(a, "%s/data", j->folder)));
		TRY(folder_make(arena_printf(a, "%s/figures", j->folder)));
		TRY(figures_prepare(&j->model, j->folder, &j->figures, a));
		TRY(figures_draw(&j->figures, j->folder, arena_printf(a, "%s/figures", j->folder),
			j->options->scripts, a));
		tell_undrawn(j);
	}
	return write_pages(j);
}

int report_write(const char *dir, const struct report_options *o)
{
	static const struct report_options defaults = { 0 };
	struct job j = { .options = o ? o : &defaults, .arena = arena_new() };
	int code;

	j.folder = arena_printf(j.arena, "%s/report", dir);
	code = write_all(&j, dir);
	arena_free(j.arena);
	return code;
}

int report_summary(const char *dir, FILE *out)
{
	static const struct report_options defaults = { 0 };
	struct arena *a = arena_new();
	struct model m;
	int code = load(dir, &defaults, &m, a);

	for (size_t i = 0; code == OK && i < m.n_boards; i++) {
		const struct board *b = &m.boards[i];
		struct table t = summary_table(b, a);

		fprintf(out, "%s%s (%s, %zu-D): %s\n", i ? "\n" : "", b->title, b->slug, b->dim,
			log_z_text(&b->log_z, a));
		table_write(&t, FORMAT_TEXT, out);
	}
	if (code == OK)
		fputs("\n* best or tied   ~ within the noise floor   ‹ below it: not comparable   "
		      "▲ above log Z: no bound"
		      "   △ so, error unknown   ◇ the flow folds   ▽ heavy tail of weights   "
		      "† failed seeds\n",
			out);
	arena_free(a);
	return code;
}
