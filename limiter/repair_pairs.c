#include "limiter/repair_pairs.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "limiter/hash.h"

#define REMEMBERED_US INT64_C(10000000)

enum { LOOKED_AT = 64 };

struct waiting {
    TAILQ_ENTRY(waiting) by_owner, by_key; /* both oldest first */
    struct repair_check check;
    bool used;
};

TAILQ_HEAD(owner_queue, waiting);
TAILQ_HEAD(key_queue, waiting);

struct repair_pairs {
    repair_unacted *unacted;
    void *arg;
    uint64_t oldest, next; /* ring positions; what was matched in between is unused */
    size_t mask;
    struct waiting *ring;
    struct owner_queue *owners;
    struct key_queue *keys;
};

struct repair_pairs *repair_pairs_new(size_t capacity, repair_unacted *unacted, void *arg)
{
    struct repair_pairs *pairs = calloc(1, sizeof *pairs);
    size_t n = 1;

    if (!pairs)
        return NULL;
    while (n < capacity)
        n *= 2;
    pairs->unacted = unacted;
    pairs->arg = arg;
    pairs->mask = n - 1;
    pairs->ring = calloc(n, sizeof *pairs->ring);
    pairs->owners = calloc(n, sizeof *pairs->owners);
    pairs->keys = calloc(n, sizeof *pairs->keys);
    if (!pairs->ring || !pairs->owners || !pairs->keys) {
        repair_pairs_free(pairs);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        TAILQ_INIT(&pairs->owners[i]);
        TAILQ_INIT(&pairs->keys[i]);
    }
    return pairs;
}

void repair_pairs_free(struct repair_pairs *pairs)
{
    if (!pairs)
        return;
    free(pairs->ring);
    free(pairs->owners);
    free(pairs->keys);
    free(pairs);
}

static struct owner_queue *owner_queue(struct repair_pairs *pairs, const struct repair_check *check)
{
    return &pairs
                ->owners[hash_mix(check->key ^ check->rule, check->owner ^ UINT64_C(0xe7037ed1a0b428db)) & pairs->mask];
}

static struct key_queue *key_queue(struct repair_pairs *pairs, const struct repair_check *check)
{
    return &pairs->keys[check->key & pairs->mask];
}

static bool same_key(const struct repair_check *a, const struct repair_check *b)
{
    return a->key == b->key && a->rule == b->rule;
}

static bool same_owner(const struct repair_check *a, const struct repair_check *b)
{
    return same_key(a, b) && a->owner == b->owner;
}

static void forget(struct repair_pairs *pairs, struct waiting *waiting)
{
    TAILQ_REMOVE(owner_queue(pairs, &waiting->check), waiting, by_owner);
    TAILQ_REMOVE(key_queue(pairs, &waiting->check), waiting, by_key);
    waiting->used = false;
}

/* What was never acted on, though it could have been. */
static void give_up(struct repair_pairs *pairs, struct waiting *waiting)
{
    struct repair_check check = waiting->check;

    forget(pairs, waiting);
    if (!check.refused)
        pairs->unacted(pairs->arg, &check);
}

static bool fresh(const struct repair_check *check, int64_t now_us)
{
    return !check->refused && now_us - check->at_us <= check->hold_us;
}

void repair_pairs_tick(struct repair_pairs *pairs, int64_t now_us)
{
    while (pairs->oldest < pairs->next) {
        struct waiting *waiting = &pairs->ring[pairs->oldest & pairs->mask];

        if (waiting->used && now_us - waiting->check.at_us <= REMEMBERED_US)
            break;
        if (waiting->used)
            give_up(pairs, waiting);
        pairs->oldest++;
    }
}

/* Of a connection's checks only the newest can be refused: each takes a refused one before it away. */
static void supersede_refused(struct repair_pairs *pairs, const struct repair_check *check)
{
    struct waiting *waiting = TAILQ_LAST(owner_queue(pairs, check), owner_queue);

    for (unsigned i = 0; waiting && i < LOOKED_AT; waiting = TAILQ_PREV(waiting, owner_queue, by_owner), i++) {
        if (!same_owner(&waiting->check, check))
            continue;
        if (waiting->check.refused)
            forget(pairs, waiting);
        return;
    }
}

/* From the oldest on: who checks often has more of them that still count than can be looked at. */
static void supersede_ended(struct repair_pairs *pairs, const struct repair_check *check, int64_t now_us)
{
    struct waiting *waiting = TAILQ_FIRST(owner_queue(pairs, check)), *next;

    for (unsigned i = 0; waiting && i < LOOKED_AT; waiting = next, i++) {
        next = TAILQ_NEXT(waiting, by_owner);
        if (!same_owner(&waiting->check, check))
            continue;
        if (fresh(&waiting->check, now_us))
            return;
        give_up(pairs, waiting);
    }
}

void repair_pairs_check(struct repair_pairs *pairs, const struct repair_check *check, int64_t now_us)
{
    repair_pairs_tick(pairs, now_us);
    /* The same connection checks again: what it was refused it took as that, and what has ended it did not act on. */
    supersede_refused(pairs, check);
    supersede_ended(pairs, check, now_us);
    struct waiting *waiting = &pairs->ring[pairs->next++ & pairs->mask];

    if (pairs->next - pairs->oldest > pairs->mask + 1)
        pairs->oldest++;
    if (waiting->used)
        forget(pairs, waiting);
    waiting->used = true;
    waiting->check = *check;
    TAILQ_INSERT_TAIL(owner_queue(pairs, check), waiting, by_owner);
    TAILQ_INSERT_TAIL(key_queue(pairs, check), waiting, by_key);
}

static bool is_better(const struct waiting *waiting, const struct waiting *than)
{
    return !than || waiting->check.told < than->check.told;
}

/* The best of the act's connection that counts; *newest_us is when the newest was. */
static struct waiting *find_own(struct repair_pairs *pairs, const struct repair_check *act, int64_t *newest_us)
{
    struct waiting *waiting = TAILQ_LAST(owner_queue(pairs, act), owner_queue), *best = NULL;

    for (unsigned i = 0; waiting && i < LOOKED_AT; waiting = TAILQ_PREV(waiting, owner_queue, by_owner), i++) {
        bool may_be = same_owner(&waiting->check, act) && fresh(&waiting->check, act->at_us);

        if (may_be && !best)
            *newest_us = waiting->check.at_us;
        if (may_be && is_better(waiting, best))
            best = waiting;
    }
    return best;
}

/* The best of any connection. */
static struct waiting *find_any(struct repair_pairs *pairs, const struct repair_check *act, int64_t *newest_us)
{
    struct waiting *waiting = TAILQ_LAST(key_queue(pairs, act), key_queue), *best = NULL;

    for (unsigned i = 0; waiting && i < LOOKED_AT; waiting = TAILQ_PREV(waiting, key_queue, by_key), i++) {
        bool may_be = same_key(&waiting->check, act) && fresh(&waiting->check, act->at_us);

        if (may_be && !best)
            *newest_us = waiting->check.at_us;
        if (may_be && is_better(waiting, best))
            best = waiting;
    }
    return best;
}

/* The newest check, whatever became of it: of the act's connection, else of its key. */
static struct waiting *find_newest(struct repair_pairs *pairs, const struct repair_check *act)
{
    struct waiting *waiting = TAILQ_LAST(owner_queue(pairs, act), owner_queue);

    for (unsigned i = 0; waiting && i < LOOKED_AT; waiting = TAILQ_PREV(waiting, owner_queue, by_owner), i++) {
        if (same_owner(&waiting->check, act))
            return waiting;
    }
    waiting = TAILQ_LAST(key_queue(pairs, act), key_queue);
    for (unsigned i = 0; waiting && i < LOOKED_AT; waiting = TAILQ_PREV(waiting, key_queue, by_key), i++) {
        if (same_key(&waiting->check, act))
            return waiting;
    }
    return NULL;
}

enum repair_match repair_pairs_act_late(struct repair_pairs *pairs, const struct repair_check *act,
                                        struct repair_check *check)
{
    struct waiting *found = find_newest(pairs, act);

    if (!found)
        return REPAIR_UNASKED;
    *check = found->check;
    forget(pairs, found);
    return check->refused ? REPAIR_REFUSED : REPAIR_LATE;
}

enum repair_match repair_pairs_act(struct repair_pairs *pairs, const struct repair_check *act, bool swaps,
                                   struct repair_check *check)
{
    int64_t newest_us = 0;
    struct waiting *found = swaps ? NULL : find_own(pairs, act, &newest_us);

    if (!found)
        found = find_any(pairs, act, &newest_us);
    if (!found)
        return repair_pairs_act_late(pairs, act, check);
    *check = found->check;
    check->at_us = newest_us;
    forget(pairs, found);
    return check->owner == act->owner ? REPAIR_OWN : REPAIR_OTHERS;
}
