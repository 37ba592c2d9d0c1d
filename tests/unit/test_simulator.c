/*
 * Random worlds on a clock of their own: backends that come, go, hang and turn out wrong, data paths that notice,
 * stalls of the process, an operator who pins, a reload; under them run the director as it is in production, and beside
 * it the queue by which a lane knows whose reply comes next. After every step it must hold what holds for any world.
 *
 * Everything is drawn from a seed, which stands in every failure. SIMULATOR_SEEDS=N takes so many instead of 2000,
 * SIMULATOR_FIRST=N begins with that one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/flow/request.h"
#include "simulation.h"

enum {
    SEEDS = 2000,
    WORLD_MS = 1200000,
    STEP_MAX_MS = 4000,
    TIMEOUT_MS = 100,
    /* Three checks that hang, each as late as jitter lets it be, behind an interval that has just begun. */
    LEFT_WITHIN_MS = 550 + 3 * (TIMEOUT_MS + 110),
    /* The longest hold-down there is, twice found up, and the grace of the start. */
    BACK_WITHIN_MS = 600000 + 2000 + 5000,
    QUEUE_STEPS = 400,
    OWNERS = 16,
};

/* What a backend is like from time to time: each phase lasts up to `phase_ms`, and is drawn from the seed. */
struct world {
    uint64_t seed, phase_ms;
    uint64_t down_since_ms[ROUTE_BACKENDS_MAX], up_since_ms[ROUTE_BACKENDS_MAX]; /* 0: it is not */
    uint64_t steps;
};

static struct world world;

#define require(what)                                                                                                  \
    do {                                                                                                               \
        if (!(what))                                                                                                   \
            fail_msg("seed %" PRIu64 ", step %" PRIu64 ": %s", world.seed, world.steps, #what);                        \
    } while (0)

static uint64_t at_random(uint64_t a, uint64_t b)
{
    return mix(world.seed * 0x9e3779b97f4a7c15U + mix(a * 31 + b));
}

static enum health_cause truth(unsigned index, uint64_t now_ms)
{
    static const enum health_cause causes[] = {CAUSE_NONE,    CAUSE_NONE,    CAUSE_NONE, CAUSE_NONE,
                                               CAUSE_REFUSED, CAUSE_TIMEOUT, CAUSE_LOST, CAUSE_NONE};

    return causes[at_random(index + 1, now_ms / (world.phase_ms * (index + 2))) % 8];
}

static enum health_cause check_world(const struct simulation *sim, unsigned index, uint32_t *takes_ms)
{
    enum health_cause cause = truth(index, sim->now_ms);

    *takes_ms = cause == CAUSE_TIMEOUT ? TIMEOUT_MS : 1 + (uint32_t)(at_random(index, sim->now_ms) % 5);
    return cause;
}

/* --- what must hold --- */

static void check_decision(const struct simulation *sim)
{
    const struct director *director = &sim->director;
    struct route_input again;
    struct route_choice choice;
    char text[ROUTE_TEXT_LEN], error[128];

    route_format(text, sizeof(text), &director->input, director->choice);
    require(route_parse(text, &again, &choice, error, sizeof(error)));
    require(choice.index == director->choice.index && choice.why == director->choice.why);
    choice = route_choose(&again);
    require(choice.index == director->choice.index && choice.why == director->choice.why);
    if (director->choice.index == ROUTE_NONE)
        return;
    require(route_is_usable(director->input.state[director->choice.index]));
    require(director->input.pinned == ROUTE_NONE || director->input.pinned == director->choice.index);
}

/* Since when each backend is what it is, as far as the steps show it: they are shorter than any phase. */
static void look_at_world(const struct simulation *sim)
{
    for (unsigned i = 0; i < sim->director.input.n; i++) {
        bool up = truth(i, sim->now_ms) == CAUSE_NONE;
        uint64_t phase_ms = world.phase_ms * (i + 2), begun_ms = sim->now_ms / phase_ms * phase_ms;
        uint64_t *since = up ? &world.up_since_ms[i] : &world.down_since_ms[i];
        *(up ? &world.down_since_ms[i] : &world.up_since_ms[i]) = 0;
        if (!*since)
            *since = begun_ms ? begun_ms : 1;
    }
}

static void check_world_is_known(const struct simulation *sim, uint64_t disturbed_ms)
{
    int chosen = sim->director.choice.index, pinned = sim->director.rules.pinned;

    if (chosen != ROUTE_NONE && world.down_since_ms[chosen]) {
        uint64_t since_ms = world.down_since_ms[chosen];
        since_ms = since_ms > disturbed_ms ? since_ms : disturbed_ms;
        require(sim->now_ms < since_ms + LEFT_WITHIN_MS);
    }
    for (unsigned i = 0; chosen == ROUTE_NONE && i < sim->director.input.n; i++) {
        uint64_t since_ms = world.up_since_ms[i];
        since_ms = since_ms > disturbed_ms ? since_ms : disturbed_ms;
        if (world.up_since_ms[i] && (pinned == ROUTE_NONE || pinned == (int)i))
            require(sim->now_ms < since_ms + BACK_WITHIN_MS);
    }
}

/* --- one world --- */

/* What else happens; true when checks may be late because of it. */
static bool disturb(struct simulation *sim, uint64_t draw)
{
    unsigned index = (unsigned)(draw >> 8) % sim->director.input.n;

    switch (draw % 12) {
    case 0:
        sim_note(sim, director_pin(&sim->director, (draw >> 16) % 2 ? (int)index : ROUTE_NONE, sim->now_ms));
        return false;
    case 1: {
        uint64_t gap_ms = 300 + (draw >> 16) % 5000;
        sim->now_ms += gap_ms;
        for (unsigned i = 0; i < sim->director.input.n; i++)
            sim->backends[i] = (struct sim_backend){.due_ms = sim->now_ms};
        sim_note(sim, director_stalled(&sim->director, gap_ms, sim->now_ms));
        return true;
    }
    case 2:
    case 3:
        if (truth(index, sim->now_ms) != CAUSE_NONE)
            sim_hint(sim, index, truth(index, sim->now_ms));
        return false;
    default:
        return false;
    }
}

static void live(uint64_t seed)
{
    static struct simulation sim;
    struct director_rules rules = sim_rules((enum failback)(mix(seed) % 3));
    uint64_t disturbed_ms = 1, epoch = 0;
    unsigned switches = 0;

    world = (struct world){.seed = seed, .phase_ms = 5000 + mix(seed + 1) % 60000};
    sim_init(&sim, 1 + (unsigned)(mix(seed + 2) % 5), &rules, check_world, NULL, seed);
    while (sim.now_ms < WORLD_MS) {
        uint64_t draw = at_random(1000, ++world.steps);
        sim_run_until(&sim, sim.now_ms + 1 + draw % STEP_MAX_MS);
        if (disturb(&sim, draw >> 12))
            disturbed_ms = sim.now_ms;
        look_at_world(&sim);
        check_decision(&sim);
        check_world_is_known(&sim, disturbed_ms);
        require(sim.director.epoch >= epoch && sim.switches >= switches);
        require((sim.director.epoch == epoch) == (sim.switches == switches));
        epoch = sim.director.epoch;
        switches = sim.switches;
    }
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void test_worlds(void **state)
{
    uint64_t first = number_of("SIMULATOR_FIRST", 1), n = number_of("SIMULATOR_SEEDS", SEEDS);

    (void)state;
    for (uint64_t seed = first; seed < first + n; seed++)
        live(seed);
    print_message("# %" PRIu64 " worlds of %d min, seeds %" PRIu64 " and up: 0 violations\n", n, WORLD_MS / 60000,
                  first);
}

/* --- whose reply comes next --- */

struct expected {
    uint32_t owner, replies;
};

/* Against an array that is never full: who was first is first, also when the ring grows while it is wrapped. */
static void queue(uint64_t seed)
{
    static struct requester owners[OWNERS];
    struct request_queue queue = {0};
    struct expected model[QUEUE_STEPS];
    unsigned head = 0, tail = 0;

    world = (struct world){.seed = seed};
    for (; world.steps < QUEUE_STEPS; world.steps++) {
        uint64_t draw = at_random(2000, world.steps);
        if (draw % 7 < 4 || head == tail) {
            struct request *request = request_push(&queue);
            require(!request->owner && request->replies == 1 && !request->dropped);
            model[tail] = (struct expected){(uint32_t)(draw >> 8) % OWNERS, 1 + (uint32_t)(draw >> 16) % 3};
            request->owner = &owners[model[tail].owner];
            request->replies = model[tail++].replies;
        } else if (draw % 7 == 4) {
            request_at(&queue, (uint32_t)(draw >> 8) % (tail - head))->dropped = true; /* its owner has left */
        } else if (!--request_oldest(&queue)->replies) {
            require(request_oldest(&queue)->owner == &owners[model[head].owner]);
            request_pop(&queue);
            head++;
        }
        require(request_count(&queue) == tail - head);
        for (unsigned i = head; i < tail; i += 1 + i % 5)
            require(request_at(&queue, i - head)->owner == &owners[model[i].owner]);
    }
    request_queue_finish(&queue);
}

static void test_queues(void **state)
{
    uint64_t first = number_of("SIMULATOR_FIRST", 1), n = number_of("SIMULATOR_SEEDS", SEEDS);

    (void)state;
    for (uint64_t seed = first; seed < first + n; seed++)
        queue(seed);
    print_message("# %" PRIu64 " queues of %d steps, seeds %" PRIu64 " and up: 0 violations\n", n, QUEUE_STEPS, first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worlds),
        cmocka_unit_test(test_queues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
