#ifndef STRIDE_RUN_CLOCK_H
#define STRIDE_RUN_CLOCK_H

#include <pthread.h>

/** Seconds of a clock that never goes back; only differences mean something. */
double clock_seconds(void);

/** Wait for the condition, at most this many seconds (< 1); the lock is held. */
void clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, double seconds);

#endif
