/*
 * SHA digests (FIPS 180-4) by OpenSSL, which may fail for want of memory only: then the process ends, because a digest
 * that was not made must never be compared with one that was. What OpenSSL makes ready for its first one is made at the
 * start: without memory for that it would fail, or worse, in a worker.
 *
 * Any thread; nothing to free.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_SHA1_LEN = 20, DIGEST_SHA256_LEN = 32 };

/* Once, before any thread is there and before anything else asks OpenSSL for anything. */
void digest_make_ready(void);
void digest_sha1(const void *bytes, size_t len, uint8_t digest[DIGEST_SHA1_LEN]);
void digest_sha256(const void *bytes, size_t len, uint8_t digest[DIGEST_SHA256_LEN]);
