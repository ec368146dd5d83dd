#include "mc/particles.h"

#include "core/stats.h"
#include "mc/weights.h"
#include "stride.h"

/* The last block is filled up with particles that are drawn and moved like the others but have no
 * weight: kernels see whole blocks only. */

struct particles *particles_new(struct arena *a, const struct density *target, size_t n,
	double sigma0)
{
	struct particles *p = ARENA_NEW(a, 1, struct particles);
	size_t dim = density_dim(target), threads = parallel_threads();

	*p = (struct particles){
		.n = n,
		.path = { .target = target, .dim = dim, .sigma0 = sigma0 },
		.blocks = (n + MC_BLOCK - 1) / MC_BLOCK,
		.log_w = ARENA_NEW(a, n, double),
		.v = ARENA_NEW(a, n, double),
		.ancestor = ARENA_NEW(a, n, size_t),
		.eve = ARENA_NEW(a, n, size_t),
		.spare_eve = ARENA_NEW(a, n, size_t),
		.scratch = ARENA_NEW(a, threads, struct mc_scratch),
	};
	p->work = ARENA_NEW(a, p->blocks * MC_BLOCK, double);
	p->block = ARENA_NEW(a, p->blocks, struct states);
	p->spare = ARENA_NEW(a, p->blocks, struct states);
	for (size_t b = 0; b < p->blocks; b++) {
		p->block[b] = states_new(a, dim);
		p->spare[b] = states_new(a, dim);
	}
	for (size_t s = 0; s < threads; s++)
		p->scratch[s] = mc_scratch_new(a, dim);
	return p;
}

static void equal_weights(struct particles *p)
{
	for (size_t i = 0; i < p->n; i++)
		p->log_w[i] = -log((double)p->n);
}

/* --- start --- */

struct start {
	struct particles *p;
	struct rng r;
	uint32_t step;
};

static void start_block(void *context, size_t b)
{
	const struct start *job = context;
	struct particles *p = job->p;
	struct states *s = &p->block[b];
	real sigma0 = (real)p->path.sigma0;

	rng_normal(job->r, job->step, p->first_row + b * MC_BLOCK, MC_BLOCK, p->path.dim, s->x);
	for (size_t j = 0; j < p->path.dim * MC_BLOCK; j++)
		s->x[j] *= sigma0;
	tempered_eval(&p->path, s, &p->scratch[parallel_slot()]);
}

void particles_redraw(struct particles *p, uint64_t seed, uint32_t epoch, uint32_t step)
{
	struct start job = { p, { seed, RNG_SAMPLE, epoch }, step };

	parallel_for(p->blocks, start_block, &job);
	p->evaluations += p->n;
}

void particles_start(struct particles *p, uint64_t seed, uint32_t epoch)
{
	p->beta = p->log_z = p->elbo = 0;
	p->resamplings = 0;
	p->multinomial = true;
	for (size_t i = 0; i < p->n; i++)
		p->eve[i] = i;
	equal_weights(p);
	particles_redraw(p, seed, epoch, 0);
}

/* --- weight --- */

const double *particles_v(struct particles *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct states *s = &p->block[i / MC_BLOCK];
		p->v[i] = s->log_rho[i % MC_BLOCK] - s->log_prior[i % MC_BLOCK];
	}
	return p->v;
}

double particles_next_beta(struct particles *p, double target)
{
	double left = 1 - p->beta, delta;

	particles_v(p);
	delta = weights_next_delta(p->n, p->log_w, p->v, left, target);
	return delta >= left ? 1 : p->beta + delta;
}

int particles_reweight(struct particles *p, double beta)
{
	double delta = beta - p->beta, mean = 0, sum;

	particles_v(p);
	for (size_t i = 0; i < p->n; i++) {
		if (!(p->log_w[i] > -HUGE_VAL))
			continue; /* a weight of zero stays zero, and adds nothing to the mean */
		double w = exp(p->log_w[i]);
		mean += w > 0 ? w * delta * p->v[i] : 0; /* v may be -inf where w has underflowed */
		p->log_w[i] += delta * p->v[i];
	}
	sum = weights_normalise(p->n, p->log_w);
	if (!isfinite(sum))
		return fail(ERR_DIVERGED, "the weights at temperature %g sum to exp(%g)", beta,
			sum);
	p->log_z += sum;
	p->elbo += mean;
	p->beta = beta;
	return OK;
}

double particles_ess(const struct particles *p)
{
	struct weight_stats s;

	stats_weights(p->log_w, p->n, 1, &s);
	return s.ess;
}

/* --- resample --- */

/* Block b of the new cloud: copies of the ancestors. Particles without weight stay where they are.
 */
static void gather_block(void *context, size_t b)
{
	struct particles *p = context;
	struct states *to = &p->spare[b];

	for (size_t j = 0; j < MC_BLOCK; j++) {
		size_t i = b * MC_BLOCK + j, a = i < p->n ? p->ancestor[i] : i,
		       from_j = a % MC_BLOCK;
		const struct states *from = &p->block[a / MC_BLOCK];
		for (size_t k = 0; k < p->path.dim * MC_BLOCK; k += MC_BLOCK) {
			to->x[k + j] = from->x[k + from_j];
			to->grad[k + j] = from->grad[k + from_j];
		}
		to->log_rho[j] = from->log_rho[from_j];
		to->log_prior[j] = from->log_prior[from_j];
	}
}

void particles_resample(struct particles *p, enum resampling scheme, uint64_t seed, uint32_t epoch,
	uint32_t step)
{
	struct rng r = { seed, RNG_RESAMPLE, epoch };
	struct states *old = p->block;

	resample(scheme, r, step, p->n, p->log_w, p->ancestor, p->work);
	parallel_for(p->blocks, gather_block, p);
	p->block = p->spare;
	p->spare = old;
	for (size_t i = 0; i < p->n; i++)
		p->spare_eve[i] = p->eve[p->ancestor[i]];
	memcpy(p->eve, p->spare_eve, p->n * sizeof(*p->eve));
	p->resamplings++;
	p->multinomial = p->multinomial && scheme == RESAMPLE_MULTINOMIAL;
	equal_weights(p);
}

/* --- move --- */

struct move {
	struct particles *const *p;
	const struct mc_kernel *kernel;
	struct mc_chance chance;
};

/* A block of a cloud: pieces are numbered cloud by cloud. */
static void move_block(void *context, size_t piece)
{
	const struct move *job = context;
	const size_t cloud = piece / job->p[0]->blocks, b = piece % job->p[0]->blocks;
	struct particles *p = job->p[cloud];
	struct mc_chance c = job->chance;

	c.first_row = p->first_row + b * MC_BLOCK;
	mc_move(&p->path, p->beta, &job->kernel[cloud], c, &p->block[b],
		&p->scratch[parallel_slot()], p->work + b * MC_BLOCK);
}

void particles_move_all(size_t clouds, struct particles *const *p, const struct mc_kernel *k,
	uint64_t seed, uint32_t epoch, uint32_t step, double *accept)
{
	struct move job = { p, k, { .seed = seed, .epoch = epoch, .step = step } };

	parallel_for(clouds * p[0]->blocks, move_block, &job);
	for (size_t c = 0; c < clouds; c++) {
		double sum = 0;
		for (size_t i = 0; i < p[c]->n; i++)
			sum += p[c]->work[i];
		accept[c] = sum / (double)p[c]->n;
		p[c]->evaluations += p[c]->n * mc_evaluations(&k[c]);
	}
}

double particles_move(struct particles *p, const struct mc_kernel *k, uint64_t seed, uint32_t epoch,
	uint32_t step)
{
	double accept;

	particles_move_all(1, &p, k, seed, epoch, step, &accept);
	return accept;
}

static void exchange(size_t n, size_t stride, real *a, real *b)
{
	for (size_t k = 0; k < n; k++) {
		real kept = a[k * stride];
		a[k * stride] = b[k * stride];
		b[k * stride] = kept;
	}
}

void particles_exchange(struct particles *p, struct particles *q, const bool *take)
{
	for (size_t i = 0; i < p->n; i++) {
		struct states *a = &p->block[i / MC_BLOCK], *b = &q->block[i / MC_BLOCK];
		size_t j = i % MC_BLOCK;
		double rho = a->log_rho[j], prior = a->log_prior[j];
		if (!take[i])
			continue;
		exchange(p->path.dim, MC_BLOCK, a->x + j, b->x + j);
		exchange(p->path.dim, MC_BLOCK, a->grad + j, b->grad + j);
		a->log_rho[j] = b->log_rho[j];
		a->log_prior[j] = b->log_prior[j];
		b->log_rho[j] = rho;
		b->log_prior[j] = prior;
	}
}

/* --- read --- */

static double position(const struct particles *p, size_t i, size_t k)
{
	return (double)p->block[i / MC_BLOCK].x[k * MC_BLOCK + i % MC_BLOCK];
}

void particles_scale(struct particles *p, double *sd)
{
	double *w = p->work;

	for (size_t i = 0; i < p->n; i++)
		w[i] = exp(p->log_w[i]);
	for (size_t k = 0; k < p->path.dim; k++) {
		double mean = 0, square = 0;
		for (size_t i = 0; i < p->n; i++)
			mean += w[i] * position(p, i, k);
		for (size_t i = 0; i < p->n; i++)
			square += w[i] * pow(position(p, i, k) - mean, 2);
		sd[k] = fmax(sqrt(square), 1e-6 * p->path.sigma0);
	}
}

uint64_t particles_rows(const struct particles *p)
{
	return p->blocks * MC_BLOCK;
}

double particles_log_z_se(const struct particles *p)
{
	double n = (double)p->n, *weight = p->work, squares = 0;

	memset(weight, 0, p->n * sizeof(*weight));
	for (size_t i = 0; i < p->n; i++)
		weight[p->eve[i]] += exp(p->log_w[i]);
	for (size_t i = 0; i < p->n; i++)
		squares += weight[i] * weight[i];
	double variance = 1 - pow(n / (n - 1), (double)p->resamplings + 1) * (1 - squares);
	bool known = p->resamplings == 0 || (p->multinomial && squares < 0.1);
	return known && variance >= 0 ? sqrt(variance) : (double)NAN;
}

void particles_log_weights(const struct particles *p, double *log_w)
{
	for (size_t i = 0; i < p->n; i++)
		log_w[i] = p->log_z + log((double)p->n) + p->log_w[i];
}

void particles_position(const struct particles *p, size_t i, double *x)
{
	for (size_t k = 0; k < p->path.dim; k++)
		x[k] = position(p, i, k);
}

void particles_positions(const struct particles *p, double *x)
{
	for (size_t i = 0; i < p->n; i++)
		particles_position(p, i, x + i * p->path.dim);
}
