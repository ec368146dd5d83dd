#include "report/page.h"

#include "report/leaderboard.h"

/* --- a page in either format ----------------------------------------------------------------- */

struct page {
	FILE *out;
	bool html;
	const char *base;
	struct arena *arena;
};

static enum format format_of(const struct page *p)
{
	return p->html ? FORMAT_HTML : FORMAT_MARKDOWN;
}

static void put(const struct page *p, const char *text)
{
	text_write(text, format_of(p), p->out);
}

/* id NULL: no anchor. */
static void heading(const struct page *p, int level, const char *text, const char *id)
{
	if (p->html) {
		fprintf(p->out, "<h%d", level);
		if (id)
			fprintf(p->out, " id=\"%s\"", id);
		fputc('>', p->out);
		put(p, text);
		fprintf(p->out, "</h%d>\n", level);
	} else {
		fprintf(p->out, "%.*s ", level, "######");
		put(p, text);
		fputs("\n\n", p->out);
	}
}

static void paragraph(const struct page *p, const char *text)
{
	fputs(p->html ? "<p>" : "", p->out);
	put(p, text);
	fputs(p->html ? "</p>\n" : "\n\n", p->out);
}

static void list(const struct page *p, size_t n, const char *const *lines)
{
	if (!n)
		return;
	fputs(p->html ? "<ul>\n" : "", p->out);
	for (size_t i = 0; i < n; i++) {
		fputs(p->html ? "<li>" : "- ", p->out);
		put(p, lines[i]);
		fputs(p->html ? "</li>\n" : "\n", p->out);
	}
	fputs(p->html ? "</ul>\n" : "\n", p->out);
}

static void table(const struct page *p, const struct table *t)
{
	if (!t->n_rows)
		return;
	if (!p->html && t->caption)
		paragraph(p, t->caption);
	table_write(t, format_of(p), p->out);
	fputs(p->html ? "" : "\n", p->out);
}

static void code(const struct page *p, const char *title, const char *text)
{
	if (p->html) {
		fputs("<details><summary>", p->out);
		put(p, title);
		fputs("</summary><pre>", p->out);
		put(p, text);
		fputs("</pre></details>\n", p->out);
	} else {
		fputs("<details><summary>", p->out);
		put(p, title);
		fprintf(p->out, "</summary>\n\n```yaml\n%s%s```\n\n</details>\n\n", text,
			*text && text[strlen(text) - 1] != '\n' ? "\n" : "");
	}
}

static void link_to(const struct page *p, const char *text, const char *file)
{
	if (p->html)
		fprintf(p->out, "<a href=\"%s%s\">%s</a>", p->base, file, text);
	else
		fprintf(p->out, "[%s](%s%s)", text, p->base, file);
}

static void figure(const struct page *p, const struct figure *f)
{
	if (!f->drawn)
		return;
	if (p->html) {
		fprintf(p->out, "<figure><img src=\"%sfigures/%s.svg\" loading=\"lazy\" alt=\"",
			p->base, f->name);
		put(p, f->caption);
		fputs("\"><figcaption>", p->out);
		put(p, f->caption);
		fprintf(p->out,
			" <a href=\"%sfigures/%s.pdf\">PDF</a>, "
			"<a href=\"%sfigures/%s.png\">PNG</a></figcaption></figure>\n",
			p->base, f->name, p->base, f->name);
	} else {
		fprintf(p->out, "![%s](%sfigures/%s.png)\n\n", f->name, p->base, f->name);
		fputs("*", p->out);
		put(p, f->caption);
		fputs("*\n\n", p->out);
	}
}

/* --- parts of the report --------------------------------------------------------------------- */

/* "2 ok, 1 diverged" */
static const char *state_counts(const struct records *r, struct arena *a)
{
	static const char *const states[] = { "ok", "diverged", "failed", "timeout", "skipped" };
	const char *text = "";

	for (size_t s = 0; s < sizeof(states) / sizeof(states[0]); s++) {
		size_t n = 0;

		for (size_t i = 0; i < r->n_cells; i++)
			n += !strcmp(r->cells[i].state, states[s]);
		if (n)
			text = arena_printf(a, "%s%s%zu %s", text, *text ? ", " : "", n, states[s]);
	}
	return text;
}

/* A text of every cell, each different one once. */
typedef const char *cell_text(const struct record *r, struct arena *a);

static const char *distinct(const struct records *r, cell_text *of, size_t *count, struct arena *a)
{
	const char **seen = arena_alloc(a, r->n_cells, sizeof(*seen));
	const char *text = "";
	size_t n = 0;

	for (size_t i = 0; i < r->n_cells; i++) {
		const char *t = of(&r->cells[i], a);
		size_t old = 0;

		while (old < n && strcmp(seen[old], t))
			old++;
		if (old < n || !*t)
			continue;
		seen[n++] = t;
		text = arena_printf(a, "%s%s%s", text, *text ? "; " : "", t);
	}
	if (count)
		*count = n;
	return text;
}

static const char *commit_text(const struct record *r, struct arena *a)
{
	return r->provenance.dirty ? arena_printf(a, "%s with changes", r->provenance.commit)
				   : r->provenance.commit;
}

static const char *threads_text(const struct record *r, struct arena *a)
{
	return isnan(r->provenance.threads) ? "" : arena_printf(a, "%g", r->provenance.threads);
}

#define PROVENANCE_TEXT(field)                                                   \
	static const char *field##_text(const struct record *r, struct arena *a) \
	{                                                                        \
		(void)a;                                                         \
		return r->provenance.field;                                      \
	}
PROVENANCE_TEXT(compiler)
PROVENANCE_TEXT(flags)
PROVENANCE_TEXT(variant)
PROVENANCE_TEXT(cpu)
PROVENANCE_TEXT(blas_core)
PROVENANCE_TEXT(libc)
#undef PROVENANCE_TEXT

static const char *code_text(const struct record *r, struct arena *a)
{
	(void)a;
	return r->code;
}

static const char *dates(const struct records *r, struct arena *a)
{
	const char *first = "", *last = "";

	for (size_t i = 0; i < r->n_cells; i++) {
		const char *d = r->cells[i].provenance.date;

		if (*d && (!*first || strcmp(d, first) < 0))
			first = d;
		if (strcmp(d, last) > 0)
			last = d;
	}
	return strcmp(first, last) ? arena_printf(a, "%s to %s", first, last) : first;
}

static void fact(struct table *t, const char *name, const char *value)
{
	struct table_cell *cells;

	if (!*value)
		return;
	cells = table_row(t);
	cells[0].text = name;
	cells[1].text = value;
}

static void write_setting(const struct page *p, const struct model *m)
{
	const struct records *r = m->records;
	struct table t = table_new(2, 12, p->arena);
	size_t versions;
	const char *code_hashes = distinct(r, code_text, &versions, p->arena);

	heading(p, 2, "Machine and settings", "settings");
	t.head[0].text = "what";
	t.head[1].text = "value";
	t.text_cols = 2;
	fact(&t, "date", dates(r, p->arena));
	fact(&t, "CPU", distinct(r, cpu_text, NULL, p->arena));
	fact(&t, "threads", distinct(r, threads_text, NULL, p->arena));
	fact(&t, "BLAS core", distinct(r, blas_core_text, NULL, p->arena));
	fact(&t, "libc", distinct(r, libc_text, NULL, p->arena));
	fact(&t, "compiler", distinct(r, compiler_text, NULL, p->arena));
	fact(&t, "flags", distinct(r, flags_text, NULL, p->arena));
	fact(&t, "variant", distinct(r, variant_text, NULL, p->arena));
	fact(&t, "commit", distinct(r, commit_text, NULL, p->arena));
	fact(&t, "code", code_hashes);
	table(p, &t);
	if (versions > 1)
		paragraph(p,
			arena_printf(p->arena, "The records were made by %zu versions of the code.",
				versions));
	if (r->config)
		code(p, "config.yaml", r->config);
}

static void write_metrics(const struct page *p, const struct model *m)
{
	static const char *const directions[] = { [BETTER_LOWER] = "lower",
		[BETTER_HIGHER] = "higher",
		[BETTER_ZERO] = "nearest to 0",
		[BETTER_NONE] = "" };
	size_t room = 0;
	struct table t;

	for (size_t b = 0; b < m->n_boards; b++)
		room += m->boards[b].n_columns;
	t = table_new(6, room, p->arena);
	t.text_cols = t.n_cols;
	t.head[0].text = "id";
	t.head[1].text = "version";
	t.head[2].text = "what";
	t.head[3].text = "better";
	t.head[4].text = "unit";
	t.head[5].text = "definition";
	for (size_t b = 0; b < m->n_boards; b++)
		for (size_t c = 0; c < m->boards[b].n_columns; c++) {
			const struct column *col = &m->boards[b].columns[c];
			const char *version = arena_printf(p->arena, "%d", col->version);
			struct table_cell *cells;
			bool old = false;

			for (size_t i = 0; i < t.n_rows; i++)
				old |= !strcmp(t.cells[i * t.n_cols].text, col->name) &&
				       !strcmp(t.cells[i * t.n_cols + 1].text, version);
			if (old)
				continue;
			cells = table_row(&t);
			cells[0].text = col->name;
			cells[1].text = version;
			cells[2].text = col->title;
			cells[3].text = directions[col->better];
			cells[4].text = col->unit;
			cells[5].text = col->about && col->about->paper ? col->about->paper : "";
		}
	heading(p, 2, "Metrics", "metrics");
	table(p, &t);
}

static bool same_method_name(const struct record *a, const struct record *b)
{
	return !strcmp(a->method, b->method) && !strcmp(a->variant, b->variant);
}

/* Where the records of a method with the same options (those that tell variants apart) begin. */
static bool first_of_method(const struct records *r, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_method_name(&r->cells[k], &r->cells[i]))
			return false;
	return true;
}

static void method_row(const struct records *r, const struct record *like, struct table *t,
	struct arena *a)
{
	double least = HUGE_VAL, most = 0;
	size_t ok = 0, total = 0;
	struct table_cell *cells = table_row(t);

	for (size_t i = 0; i < r->n_cells; i++) {
		const struct record *c = &r->cells[i];

		if (!same_method_name(c, like) || !strcmp(c->state, "skipped"))
			continue;
		total++;
		ok += !strcmp(c->state, "ok");
		least = fmin(least, c->iterations);
		most = fmax(most, c->iterations);
	}
	cells[0].text = like->method;
	cells[1].text = *like->variant
				? arena_printf(a, "%s [%s]", like->method_title, like->variant)
				: like->method_title;
	cells[2].text = arena_printf(a, ok == total ? "%zu" : "%zu of %zu", ok, total);
	cells[3].text = !(most > 0)     ? "none"
			: least == most ? arena_printf(a, "%.0f", most)
					: arena_printf(a, "%.0f to %.0f", least, most);
}

static void write_methods(const struct page *p, const struct records *r)
{
	struct table t = table_new(4, r->n_cells, p->arena);

	t.text_cols = 2;
	t.head[0].text = "id";
	t.head[1].text = "method";
	t.head[2].text = "cells";
	t.head[3].text = "training iterations";
	for (size_t i = 0; i < r->n_cells; i++)
		if (first_of_method(r, i))
			method_row(r, &r->cells[i], &t, p->arena);
	heading(p, 2, "Methods", "methods");
	table(p, &t);
}

static void numbers_table(const struct page *p, const char *name, const char *value, size_t n,
	const struct perf_number *list_of)
{
	struct table t = table_new(2, n, p->arena);

	t.text_cols = 1;
	t.head[0].text = name;
	t.head[1].text = value;
	for (size_t i = 0; i < n; i++) {
		struct table_cell *cells = table_row(&t);

		cells[0].text = list_of[i].name;
		cells[1].text = quantity_text(list_of[i].value, p->arena);
		cells[1].number = true;
	}
	table(p, &t);
}

static void write_perf(const struct page *p, const struct records *r)
{
	static const char *const heads[] = { "workload", "threads", "ms", "flops", "efficiency",
		"peak MB" };
	enum { N = sizeof(heads) / sizeof(heads[0]) };
	struct table t = table_new(N, r->n_workloads, p->arena);

	if (!r->n_workloads && !r->n_sgemm)
		return;
	heading(p, 2, "Speed", "speed");
	paragraph(p,
		"Efficiency is useful flops (the matrix products of network and target, without "
		"recomputation) over time and the sgemm rate of the threads used, measured in "
		"the same process.");
	numbers_table(p, "sgemm, threads", "GFLOP/s", r->n_sgemm, r->sgemm);
	t.text_cols = 1;
	for (size_t k = 0; k < N; k++)
		t.head[k].text = heads[k];
	for (size_t i = 0; i < r->n_workloads; i++) {
		const struct perf_workload *w = &r->workloads[i];
		const double x[N] = { 0, w->threads, w->ms, w->flops, w->efficiency,
			w->peak_rss_mb };
		struct table_cell *cells = table_row(&t);

		cells[0].text = w->name;
		for (size_t k = 1; k < N; k++) {
			cells[k].text = quantity_text(x[k], p->arena);
			cells[k].number = true;
		}
	}
	table(p, &t);
	numbers_table(p, "graph over hand-written loop, threads", "time ratio", r->n_ratios,
		r->ratios);
}

static void write_board(const struct page *p, const struct board *b, const struct figures *figures)
{
	const char **notes;
	size_t n = board_notes(b, &notes, p->arena);

	heading(p, 2, arena_printf(p->arena, "%s (%s, %zu-D)", b->title, b->slug, b->dim), b->slug);
	paragraph(p, log_z_text(&b->log_z, p->arena));
	for (int g = 0; g < GROUP_COUNT; g++) {
		struct table t = leaderboard_table(b, (enum column_group)g, p->arena);

		table(p, &t);
	}
	list(p, n, notes);
	for (size_t i = 0; i < figures->n; i++)
		if (figures->list[i].board == b)
			figure(p, &figures->list[i]);
	const struct table others[] = { diagnostics_table(b, p->arena), cost_table(b, p->arena) };
	for (size_t i = 0; i < 2; i++)
		table(p, &others[i]);
	fputs(p->html ? "<p>" : "", p->out);
	put(p, "The tables as ");
	link_to(p, "Markdown", arena_printf(p->arena, "leaderboard-%s.md", b->slug));
	put(p, ", ");
	link_to(p, "LaTeX", arena_printf(p->arena, "leaderboard-%s.tex", b->slug));
	put(p, ", ");
	link_to(p, "CSV", arena_printf(p->arena, "leaderboard-%s.csv", b->slug));
	fputs(p->html ? "</p>\n" : "\n\n", p->out);
}

static void write_contents(const struct page *p, const struct model *m)
{
	fputs(p->html ? "<nav>" : "", p->out);
	for (size_t b = 0; b < m->n_boards; b++) {
		fputs(b ? " · " : "", p->out);
		if (p->html) {
			fprintf(p->out, "<a href=\"#%s\">", m->boards[b].slug);
			put(p, m->boards[b].slug);
			fputs("</a>", p->out);
		} else {
			put(p, m->boards[b].slug);
		}
	}
	fputs(p->html ? "</nav>\n" : "\n\n", p->out);
}

static const char style[] =
	"body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:0 auto;padding:1rem;"
	"color:#1a1a1a;background:#fff}"
	"h1{font-size:1.6rem}h2{font-size:1.3rem;margin-top:2.5rem;border-bottom:1px solid #ccc}"
	"nav{line-height:2}a{color:#0058a3}"
	".scroll{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;font-size:.85rem;"
	"font-variant-numeric:tabular-nums;white-space:nowrap}"
	"caption{text-align:left;font-weight:600;padding:.3rem 0}"
	"th,td{padding:.2rem .6rem;text-align:right}th{border-bottom:1px solid #333;"
	"border-top:2px solid #333}.t{text-align:left}"
	"#settings+.scroll td,#metrics+.scroll td{white-space:normal}"
	"tbody tr.rule td{border-top:1px solid #bbb}tbody tr:last-child td{border-bottom:2px solid "
	"#333}tbody tr:hover{background:#f2f6fa}"
	"figure{margin:1.5rem 0}img{max-width:100%;height:auto}figcaption{font-size:.85rem;"
	"color:#444}pre{overflow-x:auto;background:#f5f5f5;padding:.8rem;font-size:.8rem}"
	"li{margin:.2rem 0}";

static void write_papers(const struct page *p, const struct page_papers *papers)
{
	const struct comparison *c = &papers->numbers;
	const char **lines = arena_alloc(p->arena, c->n + 1, sizeof(*lines));
	size_t n = 0;

	if (!c->n)
		return;
	heading(p, 2, "Beside the published numbers", "papers");
	paragraph(p, arena_printf(p->arena, "%s%s%s", papers_count(c, p->arena),
			     papers->from ? " The records are those of " : "",
			     papers->from ? arena_printf(p->arena, "%s.", papers->from) : ""));
	for (size_t first = 0, next; first < c->n; first = next) {
		struct table t = papers_table(c, first, &next, lines, &n, p->arena);

		table(p, &t);
	}
	list(p, n, lines);
	for (n = 0; papers_rules[n];)
		n++;
	list(p, n, papers_rules);
}

void page_write(const struct model *m, const struct page_papers *papers,
	const struct figures *figures, enum format format, const char *base, FILE *out,
	struct arena *a)
{
	const struct page p = { out, format == FORMAT_HTML, base, a };
	const struct records *r = m->records;
	struct table overview;
	size_t n = 0;

	if (p.html)
		fprintf(out,
			"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
			"<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
			"<title>stride report</title>\n<style>%s</style></head><body>\n",
			style);
	heading(&p, 1, "stride report", NULL);
	paragraph(&p,
		arena_printf(a,
			"Samplers of unnormalised densities: %zu target%s, %zu cells (method, "
			"target, options, seed): %s.",
			m->n_boards, m->n_boards == 1 ? "" : "s", r->n_cells, state_counts(r, a)));
	if (r->others)
		paragraph(&p, arena_printf(a,
				      "Left out: %zu records of other configurations in the same "
				      "directory.",
				      r->others));
	if (r->superseded)
		paragraph(&p, arena_printf(a,
				      "Left out: %zu older records of the same settings and seed.",
				      r->superseded));
	write_contents(&p, m);
	overview = overview_table(m, a);
	if (overview.n_rows) {
		heading(&p, 2, "All targets", "overview");
		table(&p, &overview);
	}
	heading(&p, 2, "How to read the tables", "reading");
	while (legend[n])
		n++;
	list(&p, n, legend);
	write_papers(&p, papers);
	for (size_t b = 0; b < m->n_boards; b++)
		write_board(&p, &m->boards[b], figures);
	write_methods(&p, r);
	write_metrics(&p, m);
	write_perf(&p, r);
	write_setting(&p, m);
	fputs(p.html ? "<p>" : "", out);
	put(&p, "Every number of every seed: ");
	link_to(&p, "long.csv", "long.csv");
	fputs(p.html ? "</p>\n</body></html>\n" : "\n", out);
}
