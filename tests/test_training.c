/* Trainings that are cut off, kept, taken up again, and asked for by other methods. */
#include "support.h"

#include "core/hash.h"
#include "core/version.h"
#include "run/training.h"

/* A cell of a method on the funnel, and its training. */
struct bench {
	struct arena *arena;
	struct plan_target target;
	struct plan_cell planned;
	struct cell cell;
	struct trainer trainer;
	struct training training;
	void *state;
	long cut; /* go_on says no before this iteration; -1: never */
};

static int go_on(void *context)
{
	struct bench *b = context;

	return b->training.done == b->cut ? fail(ERR_INTERRUPTED, "cut") : OK;
}

static size_t list_settings(struct setting *s)
{
	static const char *const text[] = { "iterations", "7", "batch", "70", "steps", "4" };

	for (size_t i = 0; i < 3; i++)
		s[i] = (struct setting){ text[2 * i], text[2 * i + 1] };
	return 3;
}

static struct bench *bench_new(const char *method, struct trainings *shared, long cut)
{
	struct arena *a = arena_new();
	struct bench *b = ARENA_NEW(a, 1, struct bench);
	struct setting settings[3];
	struct density *d;

	b->arena = a;
	b->cut = cut;
	b->target.target = target_find("funnel");
	assert_int_equal(density_new(&d, "funnel", NULL, 0, a), OK);
	b->cell = (struct cell){ .target = d,
		.field = density_field(d),
		.dim = density_dim(d),
		.seed = 3,
		.arena = a,
		.trainer = &b->trainer };
	b->trainer = (struct trainer){ .shared = shared,
		.target = &b->target,
		.go_on = go_on,
		.context = b,
		.training = &b->training };
	assert_int_equal(plan_training(&b->planned, method_find(method), &b->target, 3, settings,
				 list_settings(settings), a),
		OK);
	b->state = plan_method_state(&b->planned, a);
	assert_int_equal(b->planned.method->init(b->state, &b->cell), OK);
	return b;
}

static int train(struct bench *b)
{
	return training_run(&b->planned, b->state, &b->cell, &b->training);
}

static void digest_of(const struct bench *b, char digest[KEY_SIZE])
{
	struct checkpoint *k = checkpoint_new(b->training.done == b->training.iterations, b->arena);

	b->planned.method->keep(b->state, k);
	checkpoint_digest(k, digest);
}

/* The same bits: what the method keeps, the curves with how they are thinned, counts. */
static void assert_same(const struct bench *a, const struct bench *b)
{
	const struct curve *x = a->training.curves, *y = b->training.curves;
	char one[KEY_SIZE], other[KEY_SIZE];
	size_t n = 0;

	digest_of(a, one);
	digest_of(b, other);
	assert_string_equal(one, other);
	assert_int_equal(a->training.done, b->training.done);
	for (; x != NULL && y != NULL; x = x->next, y = y->next, n++) {
		size_t start = offsetof(struct curve, n);
		assert_string_equal(x->name, y->name);
		assert_memory_equal((const char *)x + start, (const char *)y + start,
			sizeof(*x) - start);
	}
	assert_true(n > 0 && x == NULL && y == NULL);
	assert_int_equal(a->training.counts.network, b->training.counts.network);
	assert_int_equal(a->training.counts.target, b->training.counts.target);
	assert_int_equal(a->cell.counts.network, b->cell.counts.network);
	assert_int_equal(a->cell.counts.target, b->cell.counts.target);
}

/* A run: a store with its trainings. */
struct session {
	struct store *store;
	struct trainings *trainings;
	char noted[PATH_LENGTH];
};

static void on_note(void *context, const char *text)
{
	struct session *s = context;

	snprintf(s->noted, sizeof(s->noted), "%s", text);
}

static struct session *session_new(const struct folder *f, struct trainings_options o)
{
	struct session *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	assert_int_equal(store_open_to_write(&s->store, in_folder(f, "results"), 0, 0), OK);
	o.note = on_note;
	o.context = s;
	s->trainings = trainings_new(s->store, &o);
	return s;
}

static void session_free(struct session *s)
{
	trainings_free(s->trainings);
	store_close(s->store);
	free(s);
}

static void bench_free(struct bench *b)
{
	arena_free(b->arena);
}

static const char *checkpoint_path(const struct folder *f, const struct bench *b)
{
	char name[PATH_LENGTH];

	snprintf(name, sizeof(name), "results/checkpoints/%s.ckpt", b->planned.training_key);
	return in_folder(f, name);
}

/* Cut before every iteration in turn, each time in a new run that knows nothing but the file. */
static void cut_trainings_go_on(const struct folder *f, const char *method, double every)
{
	const struct trainings_options o = { .every = every };
	struct bench *whole = bench_new(method, NULL, -1), *b = NULL;

	assert_int_equal(train(whole), OK);
	assert_int_equal(whole->training.done, 7);
	for (long cut = 0; cut <= 7; cut++) {
		struct session *s = session_new(f, o);
		if (b != NULL)
			bench_free(b);
		b = bench_new(method, s->trainings, cut < 7 ? cut : -1);
		assert_int_equal(train(b), cut < 7 ? ERR_INTERRUPTED : OK);
		assert_int_equal(b->training.resumed, cut > 0 ? cut - 1 : 0);
		assert_true(
			trainings_done(s->trainings, b->planned.training_key) == (double)cut / 7);
		assert_string_equal(s->noted, "");
		session_free(s);
	}
	assert_same(whole, b);
	assert_int_equal(b->training.n_codes, 1);
	assert_string_equal(b->training.codes[0], version.training);

	/* It stays, and is taken as it is. */
	struct session *s = session_new(f, o);
	struct bench *again = bench_new(method, s->trainings, 7);
	assert_int_equal(train(again), OK);
	assert_int_equal(again->training.resumed, 7);
	assert_same(whole, again);
	assert_string_equal(again->training.digest, b->training.digest);
	assert_true(again->training.seconds == b->training.seconds);
	session_free(s);
	bench_free(again);
	bench_free(b);
	bench_free(whole);
}

static void a_training_that_is_cut_goes_on(void **state)
{
	const struct folder *f = *state;

	cut_trainings_go_on(f, "osds", HUGE_VAL);
	cut_trainings_go_on(f, "pis", 0);
}

/* --- files that are not right ------------------------------------------------------------------- */

static char *read_bytes(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	*n = (size_t)ftell(f);
	rewind(f);
	char *bytes = malloc(*n);
	assert_int_equal(fread(bytes, 1, *n, f), *n);
	fclose(f);
	return bytes;
}

static void write_bytes(const char *path, const char *bytes, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

/* A finished training of pis in the store; its cell is returned, for the key and to compare with. */
static struct bench *keep_one(const struct folder *f)
{
	struct session *s = session_new(f, (struct trainings_options){ .every = HUGE_VAL });
	struct bench *b = bench_new("pis", s->trainings, -1);

	assert_int_equal(train(b), OK);
	session_free(s);
	return b;
}

/* Train again in a new run: from where, and into the same bits as before? */
static void again(const struct folder *f, const struct bench *before, struct trainings_options o,
	long resumed, const char *noted)
{
	o.every = HUGE_VAL;
	struct session *s = session_new(f, o);
	struct bench *b = bench_new("pis", s->trainings, -1);

	assert_int_equal(train(b), OK);
	assert_int_equal(b->training.resumed, resumed);
	assert_same(before, b);
	if (strstr(s->noted, noted) == NULL || (*noted == '\0' && s->noted[0] != '\0'))
		fail_msg("noted \"%s\", not \"%s\"", s->noted, noted);
	session_free(s);
	bench_free(b);
}

static void a_damaged_checkpoint_is_told_and_does_no_harm(void **state)
{
	const struct folder *f = *state;
	struct bench *b = keep_one(f);
	char path[PATH_LENGTH], aside[PATH_LENGTH + 8];
	size_t n;

	snprintf(path, sizeof(path), "%s", checkpoint_path(f, b));
	snprintf(aside, sizeof(aside), "%s.unused", path);
	char *bytes = read_bytes(path, &n);
	const size_t places[] = { 0, 12, 60, n / 2, n - 1 };
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		bytes[places[i]] ^= 4;
		write_bytes(path, bytes, n);
		again(f, b, (struct trainings_options){ 0 }, 0, "training starts anew");
		size_t m;
		char *kept = read_bytes(aside, &m);
		assert_int_equal(m, n);
		assert_memory_equal(kept, bytes, n);
		free(kept);
		bytes[places[i]] ^= 4;
		again(f, b, (struct trainings_options){ 0 }, 7, "");
	}
	write_bytes(path, bytes, n - 1);
	again(f, b, (struct trainings_options){ 0 }, 0, "ends early");
	write_bytes(path, "", 0);
	again(f, b, (struct trainings_options){ 0 }, 0, "training starts anew");

	/* Whole, but another's. */
	struct session *s = session_new(f, (struct trainings_options){ .every = HUGE_VAL });
	struct bench *other = bench_new("dds", s->trainings, -1);
	assert_int_equal(train(other), OK);
	char *foreign = read_bytes(checkpoint_path(f, other), &n);
	write_bytes(path, foreign, n);
	session_free(s);
	again(f, b, (struct trainings_options){ 0 }, 0, "of another training");
	free(foreign);
	free(bytes);
	bench_free(other);
	bench_free(b);
}

/* Write the digests of the checkpoints in these bytes anew. */
static void reseal(char *bytes, size_t n)
{
	enum { PIECES_MAX = 100 };
	size_t at = 0;

	while (at < n) {
		size_t pieces, sizes[PIECES_MAX];
		char names[PIECES_MAX][64], digest[KEY_SIZE];
		int used;
		struct hash h;

		assert_int_equal(sscanf(bytes + at, "pieces %zu %n", &pieces, &used), 1);
		assert_true(pieces <= PIECES_MAX);
		char *seal = bytes + at + used;
		at += (size_t)used + KEY_SIZE;
		for (size_t i = 0; i < pieces; i++) {
			char *end = memchr(bytes + at, '\n', n - at), *space = end;
			while (*space != ' ')
				space--;
			snprintf(names[i], sizeof(names[i]), "%.*s", (int)(space - (bytes + at)),
				bytes + at);
			sizes[i] = strtoul(space, NULL, 10);
			at = (size_t)(end - bytes) + 1;
		}
		hash_init(&h);
		for (size_t i = 0; i < pieces; at += sizes[i++]) {
			hash_printf(&h, "%s %zu\n", names[i], sizes[i]);
			hash_bytes(&h, bytes + at, sizes[i]);
		}
		hash_key(&h, digest);
		memcpy(seal, digest, KEY_SIZE - 1);
	}
}

/* Make the checkpoint one that other sources wrote. */
static void by_other_sources(const char *path)
{
	size_t n;
	char *bytes = read_bytes(path, &n);
	char *code = memmem(bytes, n, version.training, KEY_SIZE - 1);

	assert_non_null(code);
	memcpy(code, "0123456789abcdef", KEY_SIZE - 1);
	reseal(bytes, n);
	write_bytes(path, bytes, n);
	free(bytes);
}

static void sources_that_trained_are_known(void **state)
{
	const struct folder *f = *state;
	struct session *s = session_new(f, (struct trainings_options){ .every = HUGE_VAL });
	struct bench *b = bench_new("pis", s->trainings, 4), *whole = bench_new("pis", NULL, -1);

	assert_int_equal(train(b), ERR_INTERRUPTED);
	assert_int_equal(train(whole), OK);
	session_free(s);
	by_other_sources(checkpoint_path(f, b));
	bench_free(b);

	/* Not finished: gone on with, by both. */
	s = session_new(f, (struct trainings_options){ .every = HUGE_VAL });
	b = bench_new("pis", s->trainings, -1);
	assert_int_equal(train(b), OK);
	assert_int_equal(b->training.resumed, 4);
	assert_int_equal(b->training.n_codes, 2);
	assert_string_equal(b->training.codes[0], "0123456789abcdef");
	assert_string_equal(b->training.codes[1], version.training);
	session_free(s);
	bench_free(b);

	/* Finished: taken, unless stale records are to be made anew, or all. */
	again(f, whole, (struct trainings_options){ 0 }, 7, "");
	again(f, whole, (struct trainings_options){ .own_code = true }, 0, "");
	again(f, whole, (struct trainings_options){ .own_code = true }, 7, "");
	again(f, whole, (struct trainings_options){ .force = true }, 0, "");
	bench_free(whole);
}

/* A run that makes all anew trains once for all cells that ask. */
static void what_a_run_trained_it_uses(void **state)
{
	const struct folder *f = *state;
	struct bench *first = keep_one(f), *b[2];
	struct session *s = session_new(f, (struct trainings_options){ .force = true });

	for (size_t i = 0; i < 2; i++) {
		b[i] = bench_new("pis", s->trainings, -1);
		assert_int_equal(train(b[i]), OK);
		assert_int_equal(b[i]->training.resumed, i == 0 ? 0 : 7);
		assert_same(first, b[i]);
	}
	session_free(s);
	bench_free(b[0]);
	bench_free(b[1]);
	bench_free(first);
}

/* --- trained methods for others ------------------------------------------------------------------ */

static const struct bench *ask(struct bench *b, struct trained *t)
{
	struct setting settings[3];
	size_t n = list_settings(settings);

	assert_int_equal(cell_trained(&b->cell, "pis", settings, n, t), OK);
	assert_string_equal(t->method->name, "pis");
	return b;
}

static void assert_same_params(const struct bench *own, const struct trained *t)
{
	size_t n, m;
	const real *theta = own->planned.method->params(own->state, &n);
	const real *other = t->method->params(t->state, &m);

	assert_int_equal(n, m);
	assert_memory_equal(theta, other, n * sizeof(real));
}

static void a_trained_method_is_the_one_of_a_cell_of_its_own(void **state)
{
	const struct folder *f = *state;
	struct bench *own = bench_new("pis", NULL, -1), *asker;
	struct trained t;

	/* In memory: without a trainer, and with one that keeps nothing. */
	assert_int_equal(train(own), OK);
	asker = bench_new("dds", NULL, -1);
	asker->cell.trainer = NULL;
	struct counts before = asker->cell.counts;
	ask(asker, &t);
	assert_same_params(own, &t);
	assert_true(asker->cell.counts.network - before.network == own->cell.counts.network);
	assert_true(asker->cell.counts.target - before.target == own->cell.counts.target);
	bench_free(asker);
	asker = bench_new("dds", NULL, -1);
	ask(asker, &t);
	assert_same_params(own, &t);
	bench_free(asker);

	/* Kept: trained for the first, there for the second and for a cell of its own. */
	for (int i = 0; i < 2; i++) {
		struct session *s = session_new(f, (struct trainings_options){ .every = 0 });
		asker = bench_new("dds", s->trainings, -1);
		ask(asker, &t);
		assert_same_params(own, &t);
		assert_int_equal(asker->training.n_of, 1);
		assert_string_equal(asker->training.of[0]->key, own->planned.training_key);
		assert_int_equal(asker->training.of[0]->resumed, i == 0 ? 0 : 7);
		assert_true(asker->cell.counts.network == own->cell.counts.network);
		session_free(s);
		bench_free(asker);
	}
	again(f, own, (struct trainings_options){ 0 }, 7, "");
	bench_free(own);
}

static void what_cannot_be_trained_is_told(void **state)
{
	struct bench *b = bench_new("dds", NULL, -1);
	struct setting wrong = { "iterations", "0" }, unknown = { "iteration", "2" };
	struct trained t;
	(void)state;

	assert_int_equal(cell_trained(&b->cell, "piss", NULL, 0, &t), ERR_NAME);
	assert_non_null(strstr(error_text(), "did you mean \"pis\""));
	assert_int_equal(cell_trained(&b->cell, "exact", NULL, 0, &t), ERR_RANGE);
	assert_int_equal(cell_trained(&b->cell, "pis", &wrong, 1, &t), ERR_RANGE);
	assert_non_null(strstr(error_text(), "trained pis"));
	assert_int_equal(cell_trained(&b->cell, "pis", &unknown, 1, &t), ERR_NAME);
	bench_free(b);
}

/* The other training is cut as its own would be, and goes on. A student of another teacher does not
 * go on with its own. */
static void a_teacher_is_part_of_a_training(void **state)
{
	const struct folder *f = *state;
	struct setting settings[3];
	struct session *s = session_new(f, (struct trainings_options){ .every = HUGE_VAL });
	struct bench *b = bench_new("dds", s->trainings, -1);
	struct trained t;

	b->cut = 0; /* the student is at no iteration while its teacher trains */
	assert_int_equal(cell_trained(&b->cell, "pis", settings, list_settings(settings), &t),
		ERR_INTERRUPTED);
	bench_free(b);
	b = bench_new("dds", s->trainings, -1);
	ask(b, &t);
	b->cut = 3;
	assert_int_equal(train(b), ERR_INTERRUPTED);
	bench_free(b);
	session_free(s);

	s = session_new(f, (struct trainings_options){ .every = HUGE_VAL });
	b = bench_new("dds", s->trainings, -1);
	ask(b, &t);
	assert_int_equal(train(b), OK);
	assert_int_equal(b->training.resumed, 3);
	bench_free(b);
	b = bench_new("dds", s->trainings, -1);
	assert_int_equal(train(b), OK);
	assert_int_equal(b->training.resumed, 0);
	assert_non_null(strstr(s->noted, "another teacher"));
	bench_free(b);
	session_free(s);
}

/* At the third iteration, another cell wants the same training: for itself, and as a teacher. */
static void try_the_same(void *context, const struct training *t, double fraction)
{
	struct bench *b = context;
	struct setting settings[3];
	struct trained trained;
	(void)fraction;

	if (t->done != 3)
		return;
	assert_true(trainings_busy(b->trainer.shared, b->planned.training_key));
	struct bench *same = bench_new("pis", b->trainer.shared, -1);
	assert_int_equal(train(same), ERR_BUSY);
	assert_string_equal(same->training.waits_for, b->planned.training_key);
	assert_int_equal(same->training.done, 0);
	bench_free(same);
	struct bench *student = bench_new("dds", b->trainer.shared, -1);
	assert_int_equal(
		cell_trained(&student->cell, "pis", settings, list_settings(settings), &trained),
		ERR_BUSY);
	assert_string_equal(student->training.waits_for, b->planned.training_key);
	bench_free(student);
	b->cut = -2; /* this was here */
}

static void one_cell_at_a_time(void **state)
{
	const struct folder *f = *state;
	struct session *s = session_new(f, (struct trainings_options){ .every = HUGE_VAL });
	struct bench *b = bench_new("pis", s->trainings, -1);

	b->trainer.tick = try_the_same;
	assert_int_equal(train(b), OK);
	assert_int_equal(b->cut, -2);
	assert_false(trainings_busy(s->trainings, b->planned.training_key));
	session_free(s);
	again(f, b, (struct trainings_options){ 0 }, 7, "");
	bench_free(b);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_training_that_is_cut_goes_on),
		IN_FOLDER(a_damaged_checkpoint_is_told_and_does_no_harm),
		IN_FOLDER(sources_that_trained_are_known),
		IN_FOLDER(what_a_run_trained_it_uses),
		IN_FOLDER(a_trained_method_is_the_one_of_a_cell_of_its_own),
		cmocka_unit_test(what_cannot_be_trained_is_told),
		IN_FOLDER(a_teacher_is_part_of_a_training),
		IN_FOLDER(one_cell_at_a_time),
	};

	openblas_set_num_threads(1);
	parallel_use(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
