/*
 * How long things took, in cells of fixed width: steps of 5 us below 100 us, then 36 equal steps in each decade up to
 * 100 s, then one cell for all beyond. So every bound that people ask for (0.1, 0.25, 0.5, 1, 2.5, 5 ms, ...) is a
 * bound of cells, and what Prometheus is told is exact.
 *
 *   0   5   10 ... 95 | 100  125  150 ... 975 | 1000  1250 ... 9750 | ...        us, lower bounds
 *
 * One writer, which pays two plain additions; anybody may read meanwhile and gets a sum that is a moment old.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "proxy/watch/counters.h"

enum {
    HISTOGRAM_FINE = 20,   /* cells below 100 us */
    HISTOGRAM_DECADES = 6, /* from 100 us to 100 s */
    HISTOGRAM_STEPS = 36,  /* cells of a decade */
    HISTOGRAM_CELLS = HISTOGRAM_FINE + HISTOGRAM_DECADES * HISTOGRAM_STEPS + 1,
};

struct histogram {
    _Atomic uint64_t cells[HISTOGRAM_CELLS];
    _Atomic uint64_t sum_us;
};

/* What is needed to find a cell from the number of bits of a time. */
struct histogram_decade {
    uint32_t end;   /* where the next decade begins */
    uint32_t step;  /* width of its cells */
    uint32_t first; /* number of the cell that would begin at 0 */
};

extern const struct histogram_decade histogram_decades[HISTOGRAM_DECADES + 2];
extern const uint8_t histogram_decade_of_bits[33];

static inline unsigned histogram_cell(uint32_t us)
{
    const struct histogram_decade *decade = &histogram_decades[histogram_decade_of_bits[32 - __builtin_clz(us | 1)]];

    decade += us >= decade->end;
    if (us < 100)
        return us / 5;
    return decade->first + us / decade->step;
}

static inline void histogram_add(struct histogram *histogram, unsigned cell, uint32_t us)
{
    counter_add(&histogram->cells[cell], 1);
    counter_add(&histogram->sum_us, us);
}

/* --- reading (histogram.c) --- */

/* A copy that stands still. */
struct distribution {
    uint64_t cells[HISTOGRAM_CELLS], count, sum_us;
};

/* Adds what the histogram holds now. */
void distribution_add(struct distribution *distribution, const struct histogram *histogram);
/* How many took less than this. Exact for the bounds of cells, else what is surely below. */
uint64_t distribution_below(const struct distribution *distribution, uint64_t us);
/* The time that the given part (0 to 1) did not exceed, even within a cell; 0 when there is nothing. */
double distribution_quantile(const struct distribution *distribution, double part);
/* Lower bound of a cell in us. */
uint64_t histogram_bound(unsigned cell);
