#include "limiter/repair_clocks.h"

#include <math.h>
#include <stddef.h>

/* Longer than any lease that is kept in Redis, and far below what parts one unit from the next. */
#define NEAR_US 864e9L
/* From 1582-10-15, where the time of a UUID of version 1 begins, to 1970. */
#define UUID1_START_US 12219292800e6L

void repair_clocks_note(struct repair_clocks *clocks, const struct limit_slice *score, int64_t wall_us)
{
    static const struct {
        long double us, start_us;
    } units[] = {{1e6L, 0}, {1e3L, 0}, {1, 0}, {1e-3L, 0}, {1e-1L, UUID1_START_US}};
    size_t skip = score->len > 0 && score->bytes[0] == '(';
    long double n;

    if (!number_read_float(score->bytes + skip, score->len - skip, &n))
        return;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        long double off_us = n * units[i].us - units[i].start_us - (long double)wall_us;

        if (fabsl(off_us) > NEAR_US)
            continue;
        int64_t off = (int64_t)off_us;

        clocks->least_us = clocks->seen && clocks->least_us < off ? clocks->least_us : off;
        clocks->most_us = clocks->seen && clocks->most_us > off ? clocks->most_us : off;
        clocks->seen++;
        return;
    }
}
