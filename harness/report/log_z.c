#include "report/log_z.h"

#include "report/table.h"

const char *log_z_kind(enum log_z_kind kind)
{
	static const char *const kinds[] = { [LOG_Z_UNKNOWN] = "unknown",
		[LOG_Z_EXACT] = "exact",
		[LOG_Z_QUADRATURE] = "quadrature",
		[LOG_Z_ESTIMATE] = "estimate",
		[LOG_Z_INFINITE] = "infinite (improper)" };

	return kinds[kind];
}

const char *log_z_short(const struct log_z *z, struct arena *a)
{
	const char *kind = log_z_kind(z->kind);

	if (z->kind == LOG_Z_UNKNOWN || z->kind == LOG_Z_INFINITE)
		return kind;
	if (z->kind == LOG_Z_ESTIMATE)
		return arena_printf(a, "%s %s", number_text(z->value, z->se, false, a), kind);
	return arena_printf(a, "%.8g %s", z->value, kind);
}

/* Without what stands in parentheses: an estimate's source has the numbers of its runs there. */
static const char *brief(const char *source, struct arena *a)
{
	char *text = arena_strdup(a, source), *to = text;
	size_t depth = 0;

	for (const char *from = text; *from != '\0'; from++) {
		depth += *from == '(';
		if (depth == 0 && !(from[0] == ' ' && from[1] == '('))
			*to++ = *from;
		depth -= *from == ')' && depth > 0;
	}
	*to = '\0';
	return text;
}

const char *log_z_text(const struct log_z *z, struct arena *a)
{
	const char *colon = z->source && *z->source ? ": " : "";
	const char *source = z->source ? z->source : "";

	if (z->kind == LOG_Z_UNKNOWN)
		return "log Z is not known.";
	if (z->kind == LOG_Z_INFINITE)
		return arena_printf(a, "log Z is infinite: the density is improper%s%s.", colon,
			source);
	if (z->kind == LOG_Z_ESTIMATE)
		return arena_printf(a, "log Z = %s (%s%s%s).",
			number_text(z->value, z->se, false, a), log_z_kind(z->kind), colon,
			brief(source, a));
	return arena_printf(a, "log Z = %s (%s%s%s).",
		z->se > 0 ? arena_printf(a, "%.10g ± %.1g", z->value, z->se)
			  : arena_printf(a, "%.10g", z->value),
		log_z_kind(z->kind), colon, source);
}
