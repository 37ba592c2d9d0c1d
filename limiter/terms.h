/*
 * Private to limiter/: the terms of one limit, as LIM.GCRA, WINDOW, SLIDE, REFUND and each part of LIM.MULTI state
 * them.
 */
#pragma once

#include "limiter/grammar.h"

enum algorithm { ALGORITHM_GCRA, ALGORITHM_WINDOW, ALGORITHM_SLIDE };

/* Options; also the bits of terms.options. */
enum option {
    OPTION_COST = 1 << 0,
    OPTION_PEEK = 1 << 1,
    OPTION_PARTIAL = 1 << 2,
    OPTION_COUNTDENIED = 1 << 3,
    OPTION_DELAY = 1 << 4,
    OPTION_ALIGN = 1 << 5,
    OPTION_LOG = 1 << 6,
    OPTION_COUNTER = 1 << 7,
    OPTION_IDEM = 1 << 8,
};

struct terms {
    enum algorithm algorithm;
    unsigned options; /* those that were given */
    int64_t limit, count, period_ms;
    int64_t cost, delay_ms;
    bool epoch; /* ALIGN EPOCH */
};

/* An emission interval in whole units of 1 or 1000 ns, so that all products of the script are exact. */
struct emission {
    int64_t e, unit, delay;
};

/* GCRA, WINDOW or SLIDE as a word. */
bool terms_algorithm(struct grammar *g, enum algorithm *algorithm);
/* Limit, count and period, or limit and window; then options out of `allowed` up to the first word that is none. */
bool terms_read(struct grammar *g, struct terms *terms, enum algorithm algorithm, unsigned allowed);
/* Checks that the script can compute with the terms; `emission` is set for GCRA. `refund` allows any cost. */
bool terms_check(struct grammar *g, struct terms *terms, bool refund, struct emission *emission);
