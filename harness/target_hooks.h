/* The members of struct target (num is double) and struct target_f32 (num is float). Read by
 * stride.h, once for each; see there for the rules. */

const char *name;  /* the id */
const char *title; /* plot label */
const char *paper; /* where defined */
size_t state_size; /* size of the private struct; the harness allocates it, zeroed, and fills in the
		      options */
const struct option *options; /* NULL: none */

/** Sentences for `stride show`: what the published code omits, where codes differ. NULL: nothing. */
const char *note;

/** The table of targets/data that it reads where no option names one; NULL: none. */
const char *data;

/** rho is not continuous: what lies across a jump is not in its gradient, and identities that
 *  integrate by parts do not hold. */
bool jumps;

/** Its gradient is bounded but not continuous everywhere: no change of variables goes through it. */
bool kinks;

/** Dimension. Called after init. Required. */
size_t (*dim)(const void *state);

/** Prepare: read data (data_path), factorise, tabulate. Optional. ERR_RANGE, ERR_IO, ERR_PARSE on
 *  what a user set wrongly. */
int (*init)(void *state, struct arena *a);

/** log_rho[i] = log rho(x_i) and grad[k * n + i] its derivative along coordinate k, at n points
 *  x[k * n + i]. log_rho and grad may each be NULL. Pure; any number of threads. No NaN or overflow
 *  for |x| up to 1e6: log rho is finite or -inf, the gradient finite. Required. */
void (*eval)(const void *state, size_t n, const num *x, double *log_rho, num *grad);

/** hv = (Hessian of log rho at x) v, all [dim][n]. Optional. Pure. */
void (*hvp)(const void *state, size_t n, const num *x, const num *v, num *hv);

/** One exact sample x [dim], from the counter (r, row): use rng_gauss and rng_uniform with this r
 *  and row, columns and steps of your choice. NULL: no exact sampler is known. Pure. */
void (*draw)(const void *state, struct rng r, uint64_t row, double *x);

/** A proposal for importance sampling whose tails are no lighter than rho's: one draw x [dim] from the
 *  counter, returns its normalised log density. For targets that a multivariate t around their
 *  mean does not cover; one of the two ways to a reference log Z. Optional. Pure. */
double (*propose)(const void *state, struct rng r, uint64_t row, double *x);

/** A Gaussian prior N(mean, factor factor') that rho contains, mean [dim], factor row-major [dim][dim]
 *  and lower triangular: where annealing may start when dim is too large for importance sampling
 *  from a fit. Optional. */
void (*prior)(const void *state, double *mean, double *factor);

/** The log-normaliser with its kind and source, unless it has to be estimated: then NULL, and the
 *  record of targets/references has it. */
void (*log_z)(const void *state, struct log_z *out);

/** Number of modes or components, 0 when the notion makes no sense here, and the mode to which a
 *  point x [dim] belongs (0 .. modes - 1, the first of equals); weight[modes] are their masses: the
 *  shares of exact samples that classify gives them, where components overlap not their weights. */
size_t (*modes)(const void *state);
size_t (*classify)(const void *state, const double *x);
void (*mode_weights)(const void *state, double *weight);

/** Mean and standard deviation of each coordinate (infinite, or NaN where undefined or unknown);
 *  NULL: unknown here, maybe estimated in the record of targets/references. */
void (*moments)(const void *state, double *mean, double *sd);

/** Distribution function of coordinate k at x, to 1e-9, that draw's samples follow; NaN where it is not
 *  known (a coordinate, or an option that changes the samples). Optional. Pure. */
double (*cdf)(const void *state, size_t k, double x);

/** The window of plots: first and second coordinate; in one dimension y is the density. Required. */
void (*window)(const void *state, struct window *out);

/** Flops of matrix products in one evaluation of value and gradient at one point; NULL: none. */
double (*flops)(const void *state);
