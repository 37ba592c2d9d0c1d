/*
 * Pseudo-random numbers from a printed seed: splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
 * generators", 2014). Each client has a generator of its own, so that what it sends does not hang on how the others
 * are scheduled. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 .. n-1; n must not be 0. The bias of the modulo is of no concern for a load. */
static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
    return (uint32_t)(rng_next(rng) >> 32) % n;
}

static inline uint32_t rng_between(struct rng *rng, uint32_t low, uint32_t high)
{
    return low + rng_below(rng, high - low + 1);
}

static inline bool rng_per_mille(struct rng *rng, uint32_t chance)
{
    return rng_below(rng, 1000) < chance;
}
