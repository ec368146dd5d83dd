#include "support.h"

#include "core/hash.h"
#include "run/record.h"
#include "run/store.h"

#include <sys/resource.h>

static void hash_of(const char *text, size_t times, char hex[65])
{
	struct hash h;
	unsigned char digest[32];

	hash_init(&h);
	for (size_t i = 0; i < times; i++)
		hash_bytes(&h, text, strlen(text));
	hash_digest(&h, digest);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* The examples of FIPS 180-4 and of NIST's test vectors. */
static void hash_is_sha256(void **state)
{
	static const struct {
		const char *text;
		size_t times;
		const char *digest;
	} cases[] = {
		{ "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ "a", 1000000,
			"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
	};
	char hex[65];
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		hash_of(cases[i].text, cases[i].times, hex);
		assert_string_equal(hex, cases[i].digest);
	}
}

static struct store *open_to_write(const struct folder *f)
{
	struct store *s;

	assert_int_equal(store_open_to_write(&s, in_folder(f, "results"), 0, 0), OK);
	return s;
}

static void files_appear_whole_or_not_at_all(void **state)
{
	const struct folder *f = *state;
	struct store *s = open_to_write(f);
	struct store_file file;

	assert_int_equal(store_create(s, "cells/a.csv", &file), OK);
	fputs("half", file.stream);
	fflush(file.stream);
	assert_false(exists(in_folder(f, "results/cells/a.csv")));
	store_discard(&file);
	assert_false(exists(in_folder(f, "results/cells/a.csv")));

	assert_int_equal(store_save_text(s, "cells/a.csv", "first"), OK);
	assert_int_equal(store_save_text(s, "cells/a.csv", "second"), OK);
	char *text = read_file(in_folder(f, "results/cells/a.csv"));
	assert_string_equal(text, "second");
	free(text);
	store_close(s);
}

/* Of a killed run: a file half written, and the lock. Neither is in the way. */
static int hold(void *context)
{
	const struct folder *f = context;
	struct store *s = open_to_write(f);
	struct store_file file;

	if (store_create(s, "cells/b.json", &file) != OK)
		return 1;
	write_file(f, "ready", "");
	for (;;)
		pause();
}

static void remains_of_a_killed_run_are_swept(void **state)
{
	struct folder *f = *state;
	pid_t child = start_child(f, hold, f);
	struct store *s;

	while (!exists(in_folder(f, "ready")))
		usleep(1000);
	assert_int_equal(store_open_to_write(&s, in_folder(f, "results"), 0, 0), ERR_BUSY);
	kill(child, SIGKILL);
	assert_int_equal(wait_child(child), 1000 + SIGKILL);
	char partial[PATH_LENGTH];
	snprintf(partial, sizeof(partial), "%s.%ld.partial", in_folder(f, "results/cells/b.json"),
		(long)child);
	assert_true(exists(partial));
	store_close(open_to_write(f));
	assert_false(exists(partial));
}

static void two_runs_exclude_each_other_and_shards_do_not(void **state)
{
	const struct folder *f = *state;
	const char *dir = in_folder(f, "results");
	struct store *one, *two, *other;

	assert_int_equal(store_open_to_write(&one, dir, 0, 0), OK);
	assert_int_equal(store_open_to_write(&other, dir, 0, 0), ERR_BUSY);
	assert_non_null(strstr(error_text(), "another run"));
	assert_int_equal(store_open_to_write(&other, dir, 1, 2), ERR_BUSY);
	store_close(one);

	assert_int_equal(store_open_to_write(&one, dir, 1, 2), OK);
	assert_int_equal(store_open_to_write(&two, dir, 2, 2), OK);
	assert_int_equal(store_open_to_write(&other, dir, 2, 2), ERR_BUSY);
	assert_int_equal(store_open_to_write(&other, dir, 0, 0), ERR_BUSY);
	store_close(one);
	store_close(two);
	store_close(open_to_write(f));
}

#define RECORD(schema, kind, rest)                                                             \
	"{\"schema\": " schema ", \"kind\": \"" kind                                           \
	"\", \"state\": \"ok\", \"method\": \"osds\","                                         \
	" \"target\": \"funnel\", \"training\": {\"iterations\": 7}, \"code\": \"c0de\"," rest \
	" \"message\": null}"

static void entries_are_found_by_key(void **state)
{
	const struct folder *f = *state;
	struct store *s = open_to_write(f);

	write_file(f, "results/cells/00000000000000aa.json", RECORD("1", "cell", ""));
	write_file(f, "results/cells/00000000000000ab.json", RECORD("1", "cell", ""));
	write_file(f, "results/cells/00000000000000aa.samples.csv", "x\n");
	write_file(f, "results/floors/00000000000000ff.json", RECORD("1", "floor", ""));
	store_close(s);
	assert_int_equal(store_open(&s, in_folder(f, "results")), OK);
	assert_int_equal(store_length(s), 2);
	const struct store_entry *e = store_find(s, "00000000000000ab");
	assert_non_null(e);
	assert_int_equal(e->state, CELL_OK);
	assert_int_equal(e->iterations, 7);
	assert_string_equal(e->code, "c0de");
	assert_null(store_find(s, "00000000000000ac"));
	assert_non_null(store_floor(s, "00000000000000ff"));
	assert_null(store_floor(s, "00000000000000aa"));
	store_close(s);
}

static void foreign_records_are_refused(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *in_error;
	} cases[] = {
		{ RECORD("2", "cell", ""), ERR_VERSION, "schema 2, this program writes 1" },
		{ "{\"kind\": \"cell\"}", ERR_VERSION, "schema 0" },
		{ RECORD("1", "floor", ""), ERR_PARSE, "not a cell record" },
		{ "{\"schema\": 1,\n\"kind\": ", ERR_PARSE, ".json:2: not a record" },
		{ "", ERR_PARSE, "delete it" },
	};
	const struct folder *f = *state;
	struct store *s = open_to_write(f);

	store_close(s);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		write_file(f, "results/cells/00000000000000aa.json", cases[i].text);
		assert_int_equal(store_open_to_write(&s, in_folder(f, "results"), 0, 0),
			cases[i].code);
		assert_non_null(strstr(error_text(), cases[i].in_error));
		assert_non_null(strstr(error_text(), "00000000000000aa.json"));
	}
}

static void folders_that_cannot_be_are_refused(void **state)
{
	const struct folder *f = *state;
	struct store *s;

	write_file(f, "file", "");
	assert_int_equal(store_open_to_write(&s, in_folder(f, "file/results"), 0, 0), ERR_IO);
	assert_non_null(strstr(error_text(), "--out"));
	assert_int_equal(store_open_to_write(&s, in_folder(f, "file"), 0, 0), ERR_IO);
	assert_int_equal(store_open(&s, in_folder(f, "nowhere")), OK);
	assert_int_equal(store_length(s), 0);
	store_close(s);
}

/* A file size limit stands for a full disk: both make write fail. */
static int save_too_much(void *context)
{
	const struct folder *f = context;
	struct store *s = open_to_write(f);
	struct rlimit limit = { 4096, 4096 };
	json_t *document = json_object();

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	for (int i = 0; i < 1000; i++) {
		char key[16];
		snprintf(key, sizeof(key), "%d", i);
		json_object_set_new(document, key, json_string("twenty-four bytes of text"));
	}
	int code = store_save(s, "cells/full.json", document);
	json_decref(document);
	store_close(s);
	return code;
}

static void a_full_disk_leaves_nothing(void **state)
{
	struct folder *f = *state;

	assert_int_equal(run_child(f, save_too_much, f), ERR_IO);
	assert_false(exists(in_folder(f, "results/cells/full.json")));
	assert_int_equal(rmdir(in_folder(f, "results/cells")), 0);
}

static void sameness_leaves_timings_out(void **state)
{
#define WITH(seconds, value)                                                                       \
	RECORD("1", "cell",                                                                        \
		"\"cost\": {\"train_seconds\": " seconds                                           \
		"}, \"provenance\": {\"date\": \"" seconds                                         \
		"\"}, \"results\": [{\"sample_seconds\": " seconds ", \"score_seconds\": " seconds \
		", \"metrics\": {\"mmd_u\": {\"value\": " value "}}}],")
	const struct folder *f = *state;
	const char *a = write_file(f, "a.json", WITH("1.5", "0.25"));
	const char *b = write_file(f, "b.json", WITH("2.5", "0.25"));
	const char *c = write_file(f, "c.json", WITH("1.5", "0.25000000000000006"));
	bool same = false;

	assert_int_equal(record_same(a, b, &same), OK);
	assert_true(same);
	assert_int_equal(record_same(a, c, &same), OK);
	assert_false(same);
	assert_int_equal(record_same(a, in_folder(f, "none"), &same), ERR_PARSE);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hash_is_sha256),
		IN_FOLDER(files_appear_whole_or_not_at_all),
		IN_FOLDER(remains_of_a_killed_run_are_swept),
		IN_FOLDER(two_runs_exclude_each_other_and_shards_do_not),
		IN_FOLDER(entries_are_found_by_key),
		IN_FOLDER(foreign_records_are_refused),
		IN_FOLDER(folders_that_cannot_be_are_refused),
		IN_FOLDER(a_full_disk_leaves_nothing),
		IN_FOLDER(sameness_leaves_timings_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
