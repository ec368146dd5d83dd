#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ERR_AS_TEXT(code, text) text,
static const char *const names[ERR_COUNT] = { "ok", ERR_LIST(ERR_AS_TEXT) };
#undef ERR_AS_TEXT

static _Thread_local struct error last;

int error_fail(const char *file, int line, int code, const char *format, ...)
{
	va_list args;

	last.code = code;
	last.file = file;
	last.line = line;
	va_start(args, format);
	vsnprintf(last.text, sizeof(last.text), format, args);
	va_end(args);
	return code;
}

void error_get(struct error *out)
{
	*out = last;
}

int error_set(const struct error *e)
{
	last = *e;
	return e->code;
}

int error_at(const char *place)
{
	struct error inner = last;

	snprintf(last.text, sizeof(last.text), "%.200s: %.800s", place, inner.text);
	return last.code;
}

const char *error_text(void)
{
	return last.text;
}

const char *error_name(int code)
{
	return code >= 0 && code < ERR_COUNT ? names[code] : "unknown error";
}

_Noreturn void error_abort(const char *file, int line, const char *what)
{
	fprintf(stderr, "stride: %s:%d: broken invariant: %s\n", file, line, what);
	abort();
}
