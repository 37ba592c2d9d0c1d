/*
 * How often the choice changes while the first of two backends flaps: at most 24 times in the first hour and 12 in any
 * later one, for every period from 1 to 120 s, however long it is up in each, and for an enemy who knows the hold-down.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "simulation.h"

enum { HOURS = 4, MOST_FIRST = 24, MOST_LATER = 12, PERIODS = 120, STEADY_MS = 1000000 };

/* How the flapping shows. */
enum way { WAY_REFUSED, WAY_HANGING, WAY_BUSY, WAYS }; /* idle: checks alone; busy: the data path meets it at once */

struct flapping {
    uint64_t period_ms;
    unsigned up_percent;
    enum way way;
};

struct figures {
    unsigned runs, most_first, most_later;
};

static bool is_up(const struct flapping *flapping, uint64_t now_ms)
{
    return now_ms % flapping->period_ms * 100 < flapping->period_ms * flapping->up_percent;
}

/* The fallback is always there; looking at it rarely saves time. */
static enum health_cause check_fallback(const struct simulation *sim, uint32_t *takes_ms)
{
    *takes_ms = sim->director.health[1].state == HEALTH_UNKNOWN ? 1 : STEADY_MS;
    return CAUSE_NONE;
}

static enum health_cause check_flapping(const struct simulation *sim, unsigned index, uint32_t *takes_ms)
{
    const struct flapping *flapping = sim->arg;

    if (index)
        return check_fallback(sim, takes_ms);
    *takes_ms = 1;
    if (is_up(flapping, sim->now_ms))
        return CAUSE_NONE;
    if (flapping->way != WAY_HANGING)
        return CAUSE_REFUSED;
    *takes_ms = 100;
    return CAUSE_TIMEOUT;
}

/* The enemy takes the first backend away whenever it is used, and gives it back at once. */
static enum health_cause check_enemy(const struct simulation *sim, unsigned index, uint32_t *takes_ms)
{
    if (index)
        return check_fallback(sim, takes_ms);
    *takes_ms = 1;
    return sim->director.choice.index == 0 ? CAUSE_REFUSED : CAUSE_NONE;
}

static void measure(const struct simulation *sim, struct figures *figures)
{
    unsigned later = sim_most_in_an_hour(sim, HOUR_MS);
    unsigned first = 0;

    while (first < sim->switches && sim->switched_ms[first] < HOUR_MS)
        first++;
    figures->runs++;
    figures->most_first = first > figures->most_first ? first : figures->most_first;
    figures->most_later = later > figures->most_later ? later : figures->most_later;
    assert_in_range(first, 1, MOST_FIRST);
    assert_in_range(later, 0, MOST_LATER);
}

/* Runs on, and every `step_ms` tells the director what a busy data path would meet. */
static void run_busy(struct simulation *sim, uint64_t first_ms, uint64_t step_ms)
{
    for (uint64_t at_ms = first_ms; at_ms < (uint64_t)HOURS * HOUR_MS; at_ms += step_ms) {
        sim_run_until(sim, at_ms);
        if (sim->director.choice.index == 0)
            sim_hint(sim, 0, CAUSE_REFUSED);
    }
}

static void flap(const struct flapping *flapping, uint64_t seed, struct figures *figures)
{
    static struct simulation sim;
    struct director_rules rules = sim_rules(FAILBACK_AUTO);

    sim_init(&sim, 2, &rules, check_flapping, flapping, seed);
    if (flapping->way == WAY_BUSY)
        run_busy(&sim, flapping->period_ms * flapping->up_percent / 100, flapping->period_ms);
    sim_run_until(&sim, (uint64_t)HOURS * HOUR_MS);
    measure(&sim, figures);
}

static void test_every_period(void **state)
{
    static const unsigned up_percents[] = {10, 50, 90};
    static const char *const names[WAYS] = {"idle, refused", "idle, hanging", "busy, refused"};
    uint64_t seed = 0;

    (void)state;
    for (int way = 0; way < WAYS; way++) {
        struct figures figures = {0};
        for (size_t i = 0; i < 3; i++)
            for (unsigned period = 1; period <= PERIODS; period++) {
                struct flapping flapping = {period * 1000, up_percents[i], (enum way)way};
                flap(&flapping, ++seed, &figures);
            }
        print_message("# %s: %u runs of %d h: at most %u switches in the first hour, %u in a later one\n", names[way],
                      figures.runs, HOURS, figures.most_first, figures.most_later);
    }
}

static void test_an_enemy(void **state)
{
    static struct simulation sim;
    struct director_rules rules = sim_rules(FAILBACK_AUTO);
    struct figures figures = {0};

    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        sim_init(&sim, 2, &rules, check_enemy, NULL, seed);
        run_busy(&sim, 10, 100);
        measure(&sim, &figures);
    }
    print_message("# an enemy: at most %u switches in the first hour, %u in a later one\n", figures.most_first,
                  figures.most_later);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_period),
        cmocka_unit_test(test_an_enemy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
