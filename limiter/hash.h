/*
 * The hash of a key for the tables of limiter/. Keyed: who chooses keys but does not know the seed cannot choose where
 * they fall. Pure; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Both halves of a 128-bit product: every bit of a factor reaches every bit of the result. */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_key(const uint8_t *key, size_t len, uint64_t seed)
{
    uint64_t hash = hash_mix(seed ^ UINT64_C(0x9e3779b97f4a7c15), len ^ UINT64_C(0xd6e8feb86659fd93));
    uint64_t word;

    for (; len >= sizeof word; key += sizeof word, len -= sizeof word) {
        memcpy(&word, key, sizeof word);
        hash = hash_mix(hash ^ word, UINT64_C(0xa0761d6478bd642f));
    }
    word = 0;
    if (len > 0)
        memcpy(&word, key, len);
    return hash_mix(hash ^ word, UINT64_C(0xe7037ed1a0b428db));
}
