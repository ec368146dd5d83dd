#ifndef STRIDE_SCORE_REUSE_H
#define STRIDE_SCORE_REUSE_H

#include "stride.h"

/**
 * What metrics make of the exact samples alone, for the draws that are scored against the same ones: it is made once.
 */
struct reuse;

/** For exact samples [n_exact], which are borrowed and stay as they are. */
struct reuse *reuse_new(const double *exact, size_t n_exact);
void reuse_free(struct reuse *r); /* NULL is fine */

/** Makes something of in->exact, and of nothing else there, in in->arena. Pure. */
typedef int (*reuse_make)(const struct scored *in, void **out);

/** *out: what `make` makes. From in->reuse, if that is of these exact samples, made now or before; it is no caller's
 *  to change. Otherwise made for this call, in in->arena. On many threads at once. Errors: those of make. */
int reuse_exact(const struct scored *in, reuse_make make, void **out);

#endif
