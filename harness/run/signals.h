#ifndef STRIDE_RUN_SIGNALS_H
#define STRIDE_RUN_SIGNALS_H

/** From here on the first Ctrl-C (or SIGTERM) asks every loop to stop, by parallel_stop, and says
 * so; the second one kills. A file that may grow no more (SIGXFSZ) and a reader that has gone
 *  (SIGPIPE) become write errors. */
void signals_install(void);

#endif
