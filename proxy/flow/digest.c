#include "proxy/flow/digest.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "proxy/net/log.h"

_Static_assert(DIGEST_SHA1_LEN == SHA_DIGEST_LENGTH && DIGEST_SHA256_LEN == SHA256_DIGEST_LENGTH,
               "as OpenSSL has them");

/*
 * Until OpenSSL has made itself ready, memory it does not get ends the process: it would go on without its default
 * library context, and crash with the first digest. Later it copes, and a connection is lost at most.
 */
static atomic_bool is_ready;

static void *checked(void *memory, size_t len)
{
    if (!memory && len && !is_ready)
        end_out_of_memory(len);
    return memory;
}

static void *allocate(size_t len, const char *file, int line)
{
    (void)file, (void)line;
    return len ? checked(malloc(len), len) : NULL;
}

static void *reallocate(void *old, size_t len, const char *file, int line)
{
    (void)file, (void)line;
    if (len)
        return checked(realloc(old, len), len);
    free(old);
    return NULL;
}

static void release(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    free(memory);
}

void digest_make_ready(void)
{
    uint8_t digest[DIGEST_SHA256_LEN];

    CRYPTO_set_mem_functions(allocate, reallocate, release);
    if (!OPENSSL_init_crypto(0, NULL))
        end_out_of_memory(0);
    digest_sha1("", 0, digest);
    digest_sha256("", 0, digest);
    is_ready = true;
}

void digest_sha1(const void *bytes, size_t len, uint8_t digest[DIGEST_SHA1_LEN])
{
    if (!SHA1(bytes, len, digest))
        end_out_of_memory(len);
}

void digest_sha256(const void *bytes, size_t len, uint8_t digest[DIGEST_SHA256_LEN])
{
    if (!SHA256(bytes, len, digest))
        end_out_of_memory(len);
}
