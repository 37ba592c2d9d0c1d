#include "proxy/watch/histogram.h"

#define DECADE(number, width)                                                                                          \
    {                                                                                                                  \
        (width) * 40, (width), HISTOGRAM_FINE + (number)*HISTOGRAM_STEPS - 4                                           \
    }

/* Beyond the last decade everything is one cell, so its step is more than any time but one. */
const struct histogram_decade histogram_decades[HISTOGRAM_DECADES + 2] = {
    DECADE(0, 25U),
    DECADE(1, 250U),
    DECADE(2, 2500U),
    DECADE(3, 25000U),
    DECADE(4, 250000U),
    DECADE(5, 2500000U),
    {UINT32_MAX, UINT32_MAX, HISTOGRAM_CELLS - 1},
    {UINT32_MAX, UINT32_MAX, HISTOGRAM_CELLS - 2}, /* for UINT32_MAX itself */
};

/* The decade of the least time with so many bits. */
const uint8_t histogram_decade_of_bits[33] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* to 10 bits: 512 us */
    1, 1, 1, 1,                      /* to 14: 8 ms */
    2, 2, 2,                         /* to 17: 65 ms */
    3, 3, 3,                         /* to 20: 524 ms */
    4, 4, 4, 4,                      /* to 24: 8 s */
    5, 5, 5,                         /* to 27: 67 s */
    6, 6, 6, 6, 6,
};

uint64_t histogram_bound(unsigned cell)
{
    uint64_t step = 25;
    unsigned above = cell - HISTOGRAM_FINE;

    if (cell < HISTOGRAM_FINE)
        return cell * UINT64_C(5);
    for (unsigned i = 0; i < above / HISTOGRAM_STEPS; i++)
        step *= 10;
    return (above % HISTOGRAM_STEPS + 4) * step;
}

void distribution_add(struct distribution *distribution, const struct histogram *histogram)
{
    for (unsigned i = 0; i < HISTOGRAM_CELLS; i++) {
        uint64_t n = atomic_load_explicit(&histogram->cells[i], memory_order_relaxed);
        distribution->cells[i] += n;
        distribution->count += n;
    }
    distribution->sum_us += atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
}

uint64_t distribution_below(const struct distribution *distribution, uint64_t us)
{
    unsigned end = histogram_cell(us > UINT32_MAX ? UINT32_MAX : (uint32_t)us);
    uint64_t below = 0;

    for (unsigned i = 0; i < end; i++)
        below += distribution->cells[i];
    return below;
}

double distribution_quantile(const struct distribution *distribution, double part)
{
    double rank = part * (double)distribution->count, before = 0;

    for (unsigned i = 0; i < HISTOGRAM_CELLS && distribution->count; i++) {
        double n = (double)distribution->cells[i], low = (double)histogram_bound(i);
        if (n > 0 && before + n >= rank) {
            double width = i + 1 < HISTOGRAM_CELLS ? (double)histogram_bound(i + 1) - low : 0;
            return low + width * (rank - before) / n;
        }
        before += n;
    }
    return 0;
}
