#include "report/table.h"

#include "core/error.h"
#include "core/text.h"

#include <math.h>
#include <string.h>

/* --- numbers as text ------------------------------------------------------------------------- */

/* From here on numbers are written with an exponent. */
static const double huge_number = 1e6, tiny_number = 1e-5;

static int exponent_of(double x)
{
	return x == 0 || !isfinite(x) ? 0 : (int)floor(log10(fabs(x)));
}

static int clamp_decimals(int d)
{
	return d < 0 ? 0 : d > 8 ? 8 : d;
}

/* Of an error too small for the decimals a bound is written. */
static const char *error_text_of(double se, int decimals, struct arena *a)
{
	if (se == 0)
		return "0";
	return arena_printf(a, se < pow(10, -decimals) ? "<%.*f" : "%.*f", decimals,
		fmax(se, pow(10, -decimals)));
}

const char *number_text(double mean, double se, bool one_run, struct arena *a)
{
	const char *format = one_run ? "%.*f (%s)" : "%.*f ± %s";
	int e, decimals;

	if (!isfinite(mean))
		return isnan(mean) ? "nan" : mean > 0 ? "inf" : "-inf";
	e = exponent_of(fmax(fabs(mean), isfinite(se) ? se : 0));
	if (fabs(mean) >= huge_number || (mean != 0 && e < exponent_of(tiny_number))) {
		double unit = pow(10, e);
		const char *digits = number_text(mean / unit, se / unit, one_run, a);

		return arena_printf(a, isnan(se) ? "%se%+03d" : "(%s)e%+03d", digits, e);
	}
	if (isnan(se))
		return arena_printf(a, "%.*f", clamp_decimals(3 - exponent_of(mean)), mean);
	decimals = se > 0 && isfinite(se) ? 1 - exponent_of(se) : 3 - exponent_of(mean);
	decimals = clamp_decimals(decimals < 6 - e ? decimals : 6 - e);
	return arena_printf(a, format, decimals, mean, error_text_of(se, decimals, a));
}

const char *quantity_text(double x, struct arena *a)
{
	if (!isfinite(x))
		return isnan(x) ? NULL : x > 0 ? "inf" : "-inf";
	if (fabs(x) >= 1e7)
		return arena_printf(a, "%.2e", x);
	return arena_printf(a, "%.*f", x == floor(x) ? 0 : clamp_decimals(2 - exponent_of(x)), x);
}

/* --- characters ------------------------------------------------------------------------------ */

struct replacement {
	const char *from, *to;
};

static const struct replacement markdown_text[] = { { "\\", "\\\\" }, { "|", "\\|" },
	{ "*", "\\*" }, { "`", "\\`" }, { "<", "&lt;" }, { "~", "\\~" }, { NULL, NULL } };

static const struct replacement html_text[] = { { "&", "&amp;" }, { "<", "&lt;" }, { ">", "&gt;" },
	{ "\"", "&quot;" }, { NULL, NULL } };

static const struct replacement latex_text[] = { { "\\", "\\textbackslash{}" }, { "_", "\\_" },
	{ "%", "\\%" }, { "&", "\\&" }, { "#", "\\#" }, { "$", "\\$" }, { "{", "\\{" },
	{ "}", "\\}" }, { "^", "\\textasciicircum{}" }, { "~", "\\textasciitilde{}" },
	{ "<", "$<$" }, { ">", "$>$" }, { "|", "$|$" }, { "±", "$\\pm$" }, { "↓", "$\\downarrow$" },
	{ "↑", "$\\uparrow$" }, { "→", "$\\to$" }, { "≤", "$\\le$" }, { "≥", "$\\ge$" },
	{ "×", "$\\times$" }, { "²", "$^2$" }, { "³", "$^3$" }, { "√", "$\\surd$" }, { "–", "--" },
	{ "−", "$-$" }, { "·", "$\\cdot$" }, { "Δ", "$\\Delta$" }, { "ε", "$\\varepsilon$" },
	{ NULL, NULL } };

static const struct replacement latex_number[] = { { "±", "\\pm" }, { " (", "\\,(" },
	{ "nan", "\\mathrm{nan}" }, { "inf", "\\infty" }, { NULL, NULL } };

static const struct replacement html_number[] = { { "-", "−" }, { "<", "&lt;" }, { NULL, NULL } };

static const struct replacement plain_text[] = { { NULL, NULL } };

static const struct replacement *text_rules(enum format format)
{
	static const struct replacement *const rules[] = { [FORMAT_TEXT] = plain_text,
		[FORMAT_MARKDOWN] = markdown_text,
		[FORMAT_LATEX] = latex_text,
		[FORMAT_HTML] = html_text };

	return rules[format];
}

/* newline: what stands for one. */
static void replace(const char *text, const struct replacement *rules, const char *newline,
	FILE *out)
{
	while (*text) {
		const struct replacement *r = rules;

		while (r->from && strncmp(text, r->from, strlen(r->from)))
			r++;
		if (r->from) {
			fputs(r->to, out);
			text += strlen(r->from);
		} else if (*text == '\n') {
			fputs(newline, out);
			text++;
		} else {
			fputc(*text++, out);
		}
	}
}

void text_write(const char *text, enum format format, FILE *out)
{
	replace(text, text_rules(format), "\n", out);
}

void csv_field(const char *text, FILE *out)
{
	if (!strpbrk(text, ",\"\n\r")) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	replace(text, (const struct replacement[]){ { "\"", "\"\"" }, { NULL, NULL } }, "\n", out);
	fputc('"', out);
}

/* --- tables ---------------------------------------------------------------------------------- */

struct table table_new(size_t cols, size_t rows, struct arena *a)
{
	return (struct table){ .n_cols = cols,
		.head = ARENA_NEW(a, cols, struct table_cell),
		.cells = ARENA_NEW(a, cols * rows, struct table_cell),
		.rule = ARENA_NEW(a, rows, bool) };
}

struct table_cell *table_row(struct table *t)
{
	return &t->cells[t->n_cols * t->n_rows++];
}

/* A number's exponent e+07 becomes a power of ten. */
static void latex_math(const struct table_cell *c, FILE *out)
{
	char digits[64];
	const char *e = strpbrk(c->text, "e");
	size_t n = e ? (size_t)(e - c->text) : strlen(c->text);
	int power;

	snprintf(digits, sizeof(digits), "%.*s", (int)n, c->text);
	fputs(c->bold ? "$\\mathbf{" : "$", out);
	replace(digits, latex_number, " ", out);
	if (e && sscanf(e + 1, "%d", &power) == 1)
		fprintf(out, " \\cdot 10^{%d}", power);
	fputs(c->bold ? "}$" : "$", out);
}

static void write_marks(const struct table_cell *c, enum format format, FILE *out)
{
	static const struct {
		unsigned mark;
		const char *plain, *latex;
	} marks[] = { { MARK_FLOOR, "~", "$\\sim$" }, { MARK_ABOVE, "▲", "$\\triangle$" },
		{ MARK_PARTIAL, "†", "$\\dagger$" }, { MARK_SHARED, "‡", "$\\ddagger$" },
		{ MARK_UNSURE, "△", "$\\triangle?$" }, { MARK_BELOW, "‹", "$\\langle$" },
		{ MARK_FOLDS, "◇", "$\\diamond$" }, { MARK_HEAVY, "▽", "$\\nabla$" } };

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (c->marks & marks[i].mark) {
			fputc(' ', out);
			if (format == FORMAT_LATEX)
				fputs(marks[i].latex, out);
			else
				text_write(marks[i].plain, format, out);
		}
	if (c->note) {
		fputc(' ', out);
		text_write(c->note, format, out);
	}
}

static void write_cell(const struct table_cell *c, enum format format, FILE *out)
{
	static const char *const open[] = { "*", "**", "\\textbf{", "<b>" };
	static const char *const close[] = { "", "**", "}", "</b>" };

	if (!c->text) {
		text_write("–", format, out);
	} else if (format == FORMAT_LATEX && strchr(c->text, '\n')) {
		fputs("\\shortstack[r]{", out);
		replace(c->text, text_rules(format), "\\\\", out);
		fputc('}', out);
	} else if (c->number && format == FORMAT_LATEX) {
		latex_math(c, out);
	} else {
		fputs(c->bold ? open[format] : "", out);
		replace(c->text,
			c->number && format == FORMAT_HTML ? html_number : text_rules(format),
			format == FORMAT_HTML ? "<br>" : " ", out);
		fputs(c->bold ? close[format] : "", out);
	}
	write_marks(c, format, out);
}

static void write_markdown_row(const struct table *t, const struct table_cell *row, FILE *out)
{
	for (size_t k = 0; k < t->n_cols; k++) {
		fputs("| ", out);
		write_cell(&row[k], FORMAT_MARKDOWN, out);
		fputc(' ', out);
	}
	fputs("|\n", out);
}

static void write_markdown(const struct table *t, FILE *out)
{
	write_markdown_row(t, t->head, out);
	for (size_t k = 0; k < t->n_cols; k++)
		fputs(k < t->text_cols ? "|---" : "|--:", out);
	fputs("|\n", out);
	for (size_t i = 0; i < t->n_rows; i++)
		write_markdown_row(t, &t->cells[i * t->n_cols], out);
}

static void write_latex_row(const struct table *t, const struct table_cell *row, FILE *out)
{
	for (size_t k = 0; k < t->n_cols; k++) {
		fputs(k ? " & " : "", out);
		write_cell(&row[k], FORMAT_LATEX, out);
	}
	fputs(" \\\\\n", out);
}

static void write_latex(const struct table *t, FILE *out)
{
	fputs("\\begin{table}[htbp]\n\\centering\\scriptsize\\setlength{\\tabcolsep}{2.5pt}\n",
		out);
	if (t->caption) {
		fputs("\\caption{", out);
		text_write(t->caption, FORMAT_LATEX, out);
		fputs("}\n", out);
	}
	if (t->label)
		fprintf(out, "\\label{%s}\n", t->label);
	fputs("\\makebox[\\linewidth]{\\begin{tabular}{", out);
	for (size_t k = 0; k < t->n_cols; k++)
		fputc(k < t->text_cols ? 'l' : 'r', out);
	fputs("}\n\\toprule\n", out);
	write_latex_row(t, t->head, out);
	fputs("\\midrule\n", out);
	for (size_t i = 0; i < t->n_rows; i++) {
		fputs(t->rule[i] ? "\\midrule\n" : "", out);
		write_latex_row(t, &t->cells[i * t->n_cols], out);
	}
	fputs("\\bottomrule\n\\end{tabular}}\n\\end{table}\n", out);
}

static void write_html_row(const struct table *t, const struct table_cell *row, bool head,
	bool rule, FILE *out)
{
	fputs(rule ? "<tr class=\"rule\">" : "<tr>", out);
	for (size_t k = 0; k < t->n_cols; k++) {
		fprintf(out, "<%s%s>", head ? "th" : "td", k < t->text_cols ? " class=\"t\"" : "");
		write_cell(&row[k], FORMAT_HTML, out);
		fputs(head ? "</th>" : "</td>", out);
	}
	fputs("</tr>\n", out);
}

static void write_html(const struct table *t, FILE *out)
{
	fputs("<div class=\"scroll\"><table>\n", out);
	if (t->caption) {
		fputs("<caption>", out);
		text_write(t->caption, FORMAT_HTML, out);
		fputs("</caption>\n", out);
	}
	fputs("<thead>", out);
	write_html_row(t, t->head, true, false, out);
	fputs("</thead>\n<tbody>\n", out);
	for (size_t i = 0; i < t->n_rows; i++)
		write_html_row(t, &t->cells[i * t->n_cols], false, t->rule[i], out);
	fputs("</tbody></table></div>\n", out);
}

/* A cell as it stands on the screen; 128 bytes hold every cell that tables here have. */
static void plain_cell(const struct table_cell *c, char *text, size_t size)
{
	FILE *f = fmemopen(text, size, "w");

	write_cell(c, FORMAT_TEXT, f);
	fclose(f);
	text[size - 1] = 0;
}

static void write_text_row(const struct table *t, const struct table_cell *row, const size_t *width,
	FILE *out)
{
	char text[128];

	for (size_t k = 0; k < t->n_cols; k++) {
		size_t pad;

		plain_cell(&row[k], text, sizeof(text));
		pad = width[k] - text_width(text);
		fprintf(out, "%s%*s", k ? "  " : "", k < t->text_cols ? 0 : (int)pad, "");
		fputs(text, out);
		if (k < t->text_cols && k + 1 < t->n_cols)
			fprintf(out, "%*s", (int)pad, "");
	}
	fputc('\n', out);
}

size_t table_column_width(const struct table *t, size_t column)
{
	size_t widest = 0;
	char text[128];

	for (size_t i = 0; i <= t->n_rows; i++) {
		size_t width;

		plain_cell(i ? &t->cells[(i - 1) * t->n_cols + column] : &t->head[column], text,
			sizeof(text));
		width = text_width(text);
		widest = width > widest ? width : widest;
	}
	return widest;
}

enum { TEXT_COLS_MAX = 64 };

static void write_text(const struct table *t, FILE *out)
{
	size_t width[TEXT_COLS_MAX] = { 0 };

	invariant(t->n_cols <= TEXT_COLS_MAX);
	for (size_t k = 0; k < t->n_cols; k++)
		width[k] = table_column_width(t, k);
	write_text_row(t, t->head, width, out);
	for (size_t i = 0; i < t->n_rows; i++)
		write_text_row(t, &t->cells[i * t->n_cols], width, out);
}

void table_write(const struct table *t, enum format format, FILE *out)
{
	switch (format) {
	case FORMAT_TEXT:
		write_text(t, out);
		break;
	case FORMAT_MARKDOWN:
		write_markdown(t, out);
		break;
	case FORMAT_LATEX:
		write_latex(t, out);
		break;
	case FORMAT_HTML:
		write_html(t, out);
		break;
	}
}
