#ifndef STRIDE_CORE_HASH_H
#define STRIDE_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

/** SHA-256 (FIPS 180-4), fed piece by piece. */
struct hash {
	uint32_t state[8];
	uint64_t bytes;
	unsigned char block[64];
};

void hash_init(struct hash *h);
void hash_bytes(struct hash *h, const void *data, size_t n);

/** printf into the hash. What is printed should end in a newline, so that pieces cannot run into
 *  each other. */
void hash_printf(struct hash *h, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** The digest; h must be initialised again before further use. */
void hash_digest(struct hash *h, unsigned char digest[32]);

enum { KEY_SIZE = 17 }; /* 16 hexadecimal digits and the end */

/** The first 64 bits of the digest in hexadecimal: the key of a cell or a floor. */
void hash_key(struct hash *h, char key[KEY_SIZE]);

#endif
