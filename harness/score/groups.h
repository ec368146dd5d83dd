#ifndef STRIDE_SCORE_GROUPS_H
#define STRIDE_SCORE_GROUPS_H

#include "score/cloud.h"

/** The rows of x such that every `size` of them, from the first, lie together: a cloud is halved at the
 *  median of the coordinate in which it spreads most, and so on. order [n] is their place in x. The last
 *  group may be smaller. Its points live in the arena. Errors as cloud_make. */
int groups_make(struct cloud *out, const struct cloud *x, size_t size, size_t *order,
	struct arena *a);

#endif
