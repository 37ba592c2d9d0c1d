/* What the checks of a backend came to, for who watches. */
#include "proxy/health/backend.h"
#include "proxy/health/monitor_parts.h"
#include "proxy/health/probe.h"
#include "proxy/watch/meter.h"

_Static_assert((int)TALLY_CAUSES == (int)CAUSE_COUNT, "each cause has a count");

void tally_check(struct backend *backend, const struct probe_result *result)
{
    uint32_t us = 0;

    for (int step = 0; step < PROBE_STEPS; step++)
        if (result->step_us[step] > 0)
            us += (uint32_t)result->step_us[step];
    histogram_add(&backend->tally->checks, histogram_cell(us), us);
    backend->tally->failures[result->cause] += !result->passed;
}
