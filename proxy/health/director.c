#include "proxy/health/director.h"

#include <assert.h>

static void wake_at(struct director *director, uint64_t at_ms)
{
    if (at_ms < director->next_timer_ms)
        director->next_timer_ms = at_ms;
}

static void gather(struct director *director, uint64_t now_ms)
{
    struct route_input *input = &director->input;
    uint64_t until_ms;

    director->next_timer_ms = DIRECTOR_NEVER;
    input->current = director->choice.index;
    input->grace = now_ms < director->grace_end_ms;
    for (unsigned i = 0; i < input->n; i++) {
        input->state[i] = director->health[i].state;
        input->held[i] = hold_is_on(&director->hold[i], &director->health[i], now_ms, &until_ms);
        if (input->held[i])
            wake_at(director, until_ms);
    }
}

static bool decide(struct director *director, uint64_t now_ms)
{
    const struct route_input *input = &director->input;

    gather(director, now_ms);
    director->choice = route_choose(input);
    if (director->choice.why == ROUTE_WAITING)
        wake_at(director, director->grace_end_ms);
    if (director->choice.index == input->current)
        return false;
    if (input->current != ROUTE_NONE && !route_is_usable(input->state[input->current]))
        hold_failed(&director->hold[input->current], &director->rules.hold, now_ms);
    director->epoch++;
    return true;
}

static void begin(struct director *director, unsigned n, const struct director_rules *rules, uint64_t now_ms)
{
    assert(n <= ROUTE_BACKENDS_MAX);
    *director = (struct director){
        .rules = *rules,
        .grace_end_ms = now_ms + rules->grace_ms,
        .input = {.n = n, .pinned = rules->pinned, .failback = rules->failback},
        .choice = {.index = ROUTE_NONE},
    };
    for (unsigned i = 0; i < n; i++)
        health_init(&director->health[i], now_ms);
}

void director_init(struct director *director, unsigned n, const struct director_rules *rules, uint64_t now_ms)
{
    begin(director, n, rules, now_ms);
    decide(director, now_ms);
}

bool director_configure(struct director *director, unsigned n, const struct director_rules *rules, const int *origins,
                        uint64_t now_ms)
{
    struct director before = *director;
    bool lost = before.choice.index != ROUTE_NONE;

    begin(director, n, rules, now_ms);
    for (unsigned i = 0; i < n; i++) {
        if (origins[i] == ROUTE_NONE)
            continue;
        director->health[i] = before.health[origins[i]];
        director->hold[i] = before.hold[origins[i]];
        if (origins[i] != before.choice.index)
            continue;
        director->choice = (struct route_choice){.index = (int)i, .why = before.choice.why};
        lost = false;
    }
    director->epoch = before.epoch + lost;
    return decide(director, now_ms) || lost;
}

bool director_result(struct director *director, unsigned index, enum health_cause cause, uint64_t now_ms)
{
    struct health *health = &director->health[index];
    const struct health_rules *rules = &director->rules.health[index];

    assert(index < director->input.n);
    if (cause == CAUSE_NONE)
        health_passed(health, rules, now_ms);
    else
        health_failed(health, rules, cause, now_ms);
    return decide(director, now_ms);
}

bool director_hint(struct director *director, unsigned index, enum health_cause cause, uint64_t now_ms)
{
    assert(index < director->input.n);
    health_hint(&director->health[index], cause, now_ms);
    return decide(director, now_ms);
}

bool director_pin(struct director *director, int index, uint64_t now_ms)
{
    assert(index >= ROUTE_NONE && index < (int)director->input.n);
    director->input.pinned = index;
    return decide(director, now_ms);
}

bool director_tick(struct director *director, uint64_t now_ms)
{
    return decide(director, now_ms);
}

bool director_stalled(struct director *director, uint64_t gap_ms, uint64_t now_ms)
{
    uint64_t then_ms = now_ms - gap_ms, until_ms;

    if (then_ms < director->grace_end_ms)
        director->grace_end_ms += gap_ms;
    for (unsigned i = 0; i < director->input.n; i++)
        if (hold_is_on(&director->hold[i], &director->health[i], then_ms, &until_ms))
            director->health[i].since_ms += gap_ms;
    return decide(director, now_ms);
}

uint32_t director_next_check_ms(const struct director *director, unsigned index)
{
    assert(index < director->input.n);
    return health_next_check_ms(&director->health[index], &director->rules.health[index],
                                director->choice.index == ROUTE_NONE);
}
