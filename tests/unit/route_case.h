/* Random inputs of a choice, the same for the same seed. */
#pragma once

#include <stdint.h>

#include "proxy/health/route.h"

/* splitmix64 */
static inline uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

/* Mostly few backends, now and then up to as many as there may be. The bound of the loop is said for the compiler. */
static inline struct route_input random_input(uint64_t seed)
{
    uint64_t bits = mix(seed), more = mix(bits), held = mix(more);
    struct route_input input = {.n = bits % 16 ? (unsigned)(bits >> 8) % 5 : (unsigned)(bits >> 8) % 33};

    for (unsigned i = 0; i < ROUTE_BACKENDS_MAX && i < input.n; i++) {
        input.state[i] = (enum health_state)((more >> i) % 5);
        input.held[i] = held >> i & 1;
    }
    input.current = (int)(more >> 40) % (int)(input.n + 1) - 1;
    input.pinned = more >> 33 & 3 ? ROUTE_NONE : (int)(held >> 40) % (int)(input.n + 1) - 1;
    input.failback = (enum failback)((bits >> 20) % 3);
    input.grace = bits >> 30 & 1;
    return input;
}
