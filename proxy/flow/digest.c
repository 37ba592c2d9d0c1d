#include "proxy/flow/digest.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "proxy/net/log.h"

_Static_assert(DIGEST_SHA1_LEN == SHA_DIGEST_LENGTH && DIGEST_SHA256_LEN == SHA256_DIGEST_LENGTH,
               "as OpenSSL has them");

void digest_make_ready(void)
{
    uint8_t digest[DIGEST_SHA256_LEN];

    if (!OPENSSL_init_crypto(0, NULL))
        end_out_of_memory(0);
    digest_sha1("", 0, digest);
    digest_sha256("", 0, digest);
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
