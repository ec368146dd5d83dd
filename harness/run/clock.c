#include "run/clock.h"

#include <time.h>

enum { NS = 1000000000 };

double clock_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / NS;
}

void clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, double seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)(seconds * NS);
	until.tv_sec += until.tv_nsec / NS;
	until.tv_nsec %= NS;
	pthread_cond_timedwait(condition, lock, &until);
}
