#ifndef STRIDE_REPORT_LEADERBOARD_H
#define STRIDE_REPORT_LEADERBOARD_H

#include "report/log_z.h"
#include "report/model.h"
#include "report/table.h"

/**
 * The tables of a board. What the signs in them mean is said by legend_write.
 */

/** Scores of one group of metrics, the rows that have any. n_rows = 0: nothing to show. */
struct table leaderboard_table(const struct board *b, enum column_group group, struct arena *a);

/** All targets side by side: the headline metric of each, rows as in the summary. n_rows = 0 when no
 *  target has one. */
struct table overview_table(const struct model *m, struct arena *a);

/** Evaluations and seconds of every selected row. */
struct table cost_table(const struct board *b, struct arena *a);

/** What methods report of their draws, every selected row that has any. n_rows = 0: none does. */
struct table diagnostics_table(const struct board *b, struct arena *a);

/** The few columns that fit a terminal. */
struct table summary_table(const struct board *b, struct arena *a);

/** What does not fit in cells: flagged bounds, cells that failed and why. One line each. */
size_t board_notes(const struct board *b, const char ***lines, struct arena *a);

/** One line each: the meaning of the signs. */
extern const char *const legend[];

/** Writing all files of a board: leaderboard-SLUG.md, .tex, .csv. */
void leaderboard_markdown(const struct board *b, FILE *out, struct arena *a);
void leaderboard_latex(const struct board *b, FILE *out, struct arena *a);
void leaderboard_csv(const struct board *b, FILE *out, struct arena *a);

/** Every number of every seed, repeat, pass and step count, one a line. */
void long_csv(const struct records *r, FILE *out, struct arena *a);

#endif
