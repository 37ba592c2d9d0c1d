#include "proxy/health/state.h"

#include <assert.h>
#include <limits.h>
#include <stddef.h>

/* A login that was refused is not tried again sooner (accounts get locked), nor is a provider asked whose limit is used
 * up (each check counts there). */
enum { AUTH_RETRY_MS = 5000, QUOTA_RETRY_MS = 60000 };

/* How many failures of this cause in a row are enough; 0: none is certain, `fall` decides. */
static const struct {
    const char *name;
    enum health_state verdict;
    unsigned certain_after;
} causes[CAUSE_COUNT] = {
    [CAUSE_NONE] = {"none", HEALTH_DOWN, 0},          [CAUSE_DNS] = {"dns", HEALTH_DOWN, 0},
    [CAUSE_REFUSED] = {"refused", HEALTH_DOWN, 2},    [CAUSE_CONNECT] = {"connect", HEALTH_DOWN, 0},
    [CAUSE_TIMEOUT] = {"timeout", HEALTH_DOWN, 0},    [CAUSE_LOST] = {"lost", HEALTH_DOWN, 0},
    [CAUSE_TLS] = {"tls", HEALTH_WRONG, 1},           [CAUSE_AUTH] = {"auth", HEALTH_WRONG, 1},
    [CAUSE_PROTOCOL] = {"protocol", HEALTH_WRONG, 1}, [CAUSE_LOADING] = {"loading", HEALTH_DOWN, 1},
    [CAUSE_ROLE] = {"role", HEALTH_DOWN, 1},          [CAUSE_DATASET] = {"dataset", HEALTH_WRONG, 1},
    [CAUSE_CLUSTER] = {"cluster", HEALTH_WRONG, 1},   [CAUSE_CAPACITY] = {"capacity", HEALTH_DOWN, 1},
    [CAUSE_QUOTA] = {"quota", HEALTH_DOWN, 1},        [CAUSE_BUSY] = {"busy", HEALTH_DOWN, 0},
    [CAUSE_SLOW] = {"slow", HEALTH_DOWN, 0},
};

const char *health_state_name(enum health_state state)
{
    static const char *const names[] = {"unknown", "up", "suspect", "down", "wrong"};

    assert((size_t)state < sizeof(names) / sizeof(names[0]));
    return names[state];
}

const char *health_cause_name(enum health_cause cause)
{
    assert((unsigned)cause < CAUSE_COUNT);
    return causes[cause].name;
}

/* The one mover. */
static bool move(struct health *health, enum health_state state, uint64_t now_ms)
{
    if (health->state == state)
        return false;
    health->state = state;
    health->since_ms = now_ms;
    return true;
}

void health_init(struct health *health, uint64_t now_ms)
{
    *health = (struct health){.state = HEALTH_UNKNOWN, .since_ms = now_ms};
}

bool health_passed(struct health *health, const struct health_rules *rules, uint64_t now_ms)
{
    bool was_bad = health->state == HEALTH_DOWN || health->state == HEALTH_WRONG;

    health->fails = 0;
    if (health->passes < UINT_MAX)
        health->passes++;
    if (was_bad && health->passes < rules->rise)
        return false;
    health->cause = CAUSE_NONE;
    return move(health, HEALTH_UP, now_ms);
}

/* Whether this failure of a backend that was up is the last one needed. `before`: the cause that made it suspect. */
static bool is_enough(const struct health *health, const struct health_rules *rules, enum health_cause before)
{
    unsigned certain_after = causes[health->cause].certain_after;

    if (health->fails >= rules->fall || certain_after == 1)
        return true;
    return certain_after == 2 && health->state == HEALTH_SUSPECT && before == health->cause;
}

bool health_failed(struct health *health, const struct health_rules *rules, enum health_cause cause, uint64_t now_ms)
{
    enum health_cause before = health->cause;
    bool was_usable = health->state == HEALTH_UP || health->state == HEALTH_SUSPECT;

    assert(cause != CAUSE_NONE && cause != CAUSE_SLOW && cause < CAUSE_COUNT);
    health->passes = 0;
    if (health->fails < UINT_MAX)
        health->fails++;
    health->cause = cause;
    if (was_usable && !is_enough(health, rules, before))
        return move(health, HEALTH_SUSPECT, now_ms);
    return move(health, causes[cause].verdict, now_ms);
}

bool health_hint(struct health *health, enum health_cause cause, uint64_t now_ms)
{
    if (health->state != HEALTH_UP)
        return false;
    health->passes = 0;
    health->cause = cause;
    return move(health, HEALTH_SUSPECT, now_ms);
}

static uint32_t at_least(uint32_t ms, uint32_t floor_ms)
{
    return ms < floor_ms ? floor_ms : ms;
}

static uint32_t next_check_of_bad_ms(const struct health *health, const struct health_rules *rules, bool urgent)
{
    uint32_t ms = urgent ? rules->fast_interval_ms : rules->interval_ms;

    if (health->passes)
        return rules->fast_interval_ms;
    if (health->cause == CAUSE_AUTH)
        return at_least(ms, AUTH_RETRY_MS);
    if (health->cause == CAUSE_QUOTA)
        return at_least(ms, QUOTA_RETRY_MS);
    return ms;
}

/*
 * After a hint nothing was checked yet. A refusal, or a connection that ended within the check, is what the end of a
 * process looks like, and costs no time to ask about again: `fall` bounds how often.
 */
static bool is_to_be_confirmed(const struct health *health)
{
    return !health->fails || health->cause == CAUSE_REFUSED || health->cause == CAUSE_LOST;
}

uint32_t health_next_check_ms(const struct health *health, const struct health_rules *rules, bool urgent)
{
    switch (health->state) {
    case HEALTH_UP:
        return rules->interval_ms;
    case HEALTH_SUSPECT:
        return is_to_be_confirmed(health) ? 0 : rules->fast_interval_ms;
    case HEALTH_DOWN:
    case HEALTH_WRONG:
        return next_check_of_bad_ms(health, rules, urgent);
    case HEALTH_UNKNOWN:
        break;
    }
    return rules->fast_interval_ms;
}
