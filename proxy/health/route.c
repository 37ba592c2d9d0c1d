#include "proxy/health/route.h"

#include <assert.h>

bool route_is_usable(enum health_state state)
{
    return state == HEALTH_UP || state == HEALTH_SUSPECT;
}

/* How willingly a backend is taken when the current one is not usable; the best comes last. */
enum rank { RANK_UNUSABLE, RANK_SUSPECT, RANK_HELD, RANK_UP };

static enum rank rank_of(const struct route_input *input, unsigned i)
{
    if (input->state[i] == HEALTH_SUSPECT)
        return RANK_SUSPECT;
    if (input->state[i] != HEALTH_UP)
        return RANK_UNUSABLE;
    return input->held[i] ? RANK_HELD : RANK_UP;
}

/* The first of the best, from `from` on and around. */
static int first_of_best(const struct route_input *input, unsigned from)
{
    int best = ROUTE_NONE;
    enum rank best_rank = RANK_UNUSABLE;

    for (unsigned k = 0; k < input->n; k++) {
        unsigned i = (from + k) % input->n;
        enum rank rank = rank_of(input, i);
        if (rank > best_rank) {
            best_rank = rank;
            best = (int)i;
        }
    }
    return best;
}

static struct route_choice choose_pinned(const struct route_input *input)
{
    if (route_is_usable(input->state[input->pinned]))
        return (struct route_choice){input->pinned, ROUTE_PINNED};
    return (struct route_choice){ROUTE_NONE, ROUTE_ALL_DOWN};
}

static struct route_choice choose_with_current(const struct route_input *input)
{
    if (input->failback == FAILBACK_AUTO)
        for (int i = 0; i < input->current; i++)
            if (rank_of(input, (unsigned)i) == RANK_UP)
                return (struct route_choice){i, ROUTE_FAILBACK};
    return (struct route_choice){input->current, ROUTE_KEPT};
}

/* Whether a backend before `index` (any, for ROUTE_NONE) has no verdict yet. */
static bool is_worth_waiting(const struct route_input *input, int index)
{
    unsigned end = index == ROUTE_NONE ? input->n : (unsigned)index;

    for (unsigned i = 0; i < end; i++)
        if (input->state[i] == HEALTH_UNKNOWN)
            return true;
    return false;
}

static struct route_choice choose_first(const struct route_input *input)
{
    int index = first_of_best(input, 0);

    if (input->grace && is_worth_waiting(input, index))
        return (struct route_choice){ROUTE_NONE, ROUTE_WAITING};
    return (struct route_choice){index, index == ROUTE_NONE ? ROUTE_ALL_DOWN : ROUTE_FIRST};
}

static struct route_choice choose_other(const struct route_input *input)
{
    unsigned from = input->failback == FAILBACK_MANUAL ? (unsigned)input->current + 1 : 0;
    int index = first_of_best(input, from);

    return (struct route_choice){index, index == ROUTE_NONE ? ROUTE_ALL_DOWN : ROUTE_FAILOVER};
}

struct route_choice route_choose(const struct route_input *input)
{
    assert(input->n <= ROUTE_BACKENDS_MAX);
    assert(input->current >= ROUTE_NONE && input->current < (int)input->n);
    assert(input->pinned >= ROUTE_NONE && input->pinned < (int)input->n);
    if (input->pinned != ROUTE_NONE)
        return choose_pinned(input);
    if (input->current == ROUTE_NONE)
        return choose_first(input);
    if (route_is_usable(input->state[input->current]))
        return choose_with_current(input);
    return choose_other(input);
}

void hold_failed(struct hold *hold, const struct hold_rules *rules, uint64_t now_ms)
{
    bool was_quiet = !hold->current_ms || now_ms - hold->last_failure_ms >= rules->quiet_ms;

    hold->current_ms = was_quiet ? rules->hold_ms : hold->current_ms * 2;
    if (hold->current_ms > rules->hold_max_ms)
        hold->current_ms = rules->hold_max_ms;
    hold->last_failure_ms = now_ms;
}

bool hold_is_on(const struct hold *hold, const struct health *health, uint64_t now_ms, uint64_t *until_ms)
{
    if (health->state != HEALTH_UP || now_ms - health->since_ms >= hold->current_ms)
        return false;
    *until_ms = health->since_ms + hold->current_ms;
    return true;
}
