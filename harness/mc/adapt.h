#ifndef STRIDE_MC_ADAPT_H
#define STRIDE_MC_ADAPT_H

/**
 * A step size that is adapted towards an acceptance by dual averaging (Nesterov 2009; Hoffman and
 * Gelman 2014, section 3.2, with their constants gamma = 0.05, t0 = 10, kappa = 0.75).
 */
struct step_size {
	double now;  /* for the next transition */
	double mean; /* the average, to be fixed when adaptation is over; at first `now` */
	/* Private: */
	double target, centre, error;
	long count;
};

/** Adaptation from `step` on. */
struct step_size step_size_start(double step, double target);

/** After a transition of this mean acceptance probability. */
void step_size_update(struct step_size *s, double acceptance);

#endif
