#ifndef STRIDE_CORE_ERROR_H
#define STRIDE_CORE_ERROR_H

/**
 * Errors. A function that can fail because of what a user gave returns int: OK (0) or a code of
 * the list below. `return fail(ERR_RANGE, "sigma0 %g is not positive", s);` records code, place
 * and text for this thread; `TRY(f());` passes a code up. Broken invariants and exhausted memory
 * abort. A message belongs to the thread that failed: a parallel region copies the first failing
 * worker's error with error_get and hands it to its caller's thread with error_set.
 */
#define ERR_LIST(E)                                       \
	E(ERR_IO, "a file could not be read or written")  \
	E(ERR_PARSE, "malformed input")                   \
	E(ERR_RANGE, "a value is out of range")           \
	E(ERR_NAME, "unknown name")                       \
	E(ERR_UNSUP, "not supported")                     \
	E(ERR_DIVERGED, "the run diverged")               \
	E(ERR_BUSY, "in use by another process")          \
	E(ERR_VERSION, "made by an incompatible version") \
	E(ERR_INTERRUPTED, "interrupted")                 \
	E(ERR_NUMERIC, "a numerical routine failed")      \
	E(ERR_TIMEOUT, "it took too long")

#define ERR_AS_ENUM(code, text) code,
enum error_code { OK, ERR_LIST(ERR_AS_ENUM) ERR_COUNT };
#undef ERR_AS_ENUM

enum { ERROR_TEXT_MAX = 1024 };

struct error {
	int code;
	int line;         /* of the source that failed */
	const char *file; /* of the source that failed */
	char text[ERROR_TEXT_MAX];
};

/** Record an error for this thread and return code, so that `return fail(...)` reads well. */
#define fail(code, ...) error_fail(__FILE__, __LINE__, code, __VA_ARGS__)

/** Return from the calling function with the code when the expression is not OK. */
#define TRY(expression)                       \
	do {                                  \
		int try_code_ = (expression); \
		if (try_code_ != OK)          \
			return try_code_;     \
	} while (0)

/** Abort with place and text when an invariant is broken. Stays on in every build. */
#define invariant(condition)                                         \
	do {                                                         \
		if (!(condition))                                    \
			error_abort(__FILE__, __LINE__, #condition); \
	} while (0)

int error_fail(const char *file, int line, int code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/** Copy of this thread's last error. Meaningful only after a call that returned a code. */
void error_get(struct error *out);

/** Make e this thread's last error and return its code. */
int error_set(const struct error *e);

/** Put a place, "FILE:LINE", before this thread's last message; returns its code. */
int error_at(const char *place);

/** This thread's last message. Borrowed; valid until the next fail on this thread. */
const char *error_text(void);

/** The general text of a code, never NULL. */
const char *error_name(int code);

_Noreturn void error_abort(const char *file, int line, const char *what);

#endif
