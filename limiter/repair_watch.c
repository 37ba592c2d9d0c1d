#include "limiter/repair_watch.h"

#include <stdlib.h>
#include <string.h>

#include "limiter/hash.h"
#include "limiter/limit_verdict.h"
#include "limiter/repair_askers.h"
#include "limiter/repair_born.h"
#include "limiter/repair_pairs.h"
#include "limiter/repair_recent.h"
#include "protocol/command.h"

/* Some go on to number their checks by what was there before. */
#define NUMBERS_APART (UINT64_C(1) << 40)

enum {
    REMEMBERED = 1024, /* keys, of which the last act is known */
    LEFT_PAUSES = 8,   /* for how many pauses the place of a client that is gone is kept, and not less than */
    LEFT_LEAST_US = 50000,
    FEW_ACTORS = 8, /* that all ask are enough to take it that actors do */
};

/* Of the keys that fall here only the last one is known. */
struct acted_key {
    uint64_t key;
    int64_t at_us;
};

struct watched {
    struct repair_learn learn;
    struct repair_stats stats;
    struct repair_recent swaps;     /* acts whose connection had not checked */
    struct repair_recent strangers; /* acts whose connection never checks */
};

struct repair_watch {
    const struct repair_table *table;
    struct repair_pairs *pairs;
    uint64_t seed, number;
    struct acted_key acted[REMEMBERED];
    struct repair_born born;
    struct repair_askers askers;
    struct watched rules[];
};

static void unacted(void *arg, const struct repair_check *check)
{
    struct repair_watch *watch = arg;

    watch->rules[check->rule].stats.unused++;
    repair_learn_count(&watch->rules[check->rule].learn, check->told, false);
}

struct repair_watch *repair_watch_new(const struct repair_table *table, size_t capacity, uint64_t seed)
{
    size_t n = repair_table_count(table);
    struct repair_watch *watch = calloc(1, sizeof *watch + n * sizeof watch->rules[0]);

    if (!watch)
        return NULL;
    watch->table = table;
    watch->seed = seed;
    watch->pairs = repair_pairs_new(capacity, unacted, watch);
    if (!watch->pairs) {
        free(watch);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        repair_learn_init(&watch->rules[i].learn, repair_table_at(table, i)->max);
    return watch;
}

void repair_watch_free(struct repair_watch *watch)
{
    if (watch)
        repair_pairs_free(watch->pairs);
    free(watch);
}

static bool is_same(const struct repair_rule *a, const struct repair_rule *b)
{
    return a->kind == b->kind && a->max == b->max && strcmp(a->pattern, b->pattern) == 0;
}

void repair_watch_inherit(struct repair_watch *watch, const struct repair_watch *before)
{
    watch->number = before->number + NUMBERS_APART;
    for (size_t i = 0; i < repair_table_count(watch->table); i++) {
        for (size_t j = 0; j < repair_table_count(before->table); j++) {
            if (is_same(repair_table_at(watch->table, i), repair_table_at(before->table, j)))
                watch->rules[i] = before->rules[j];
        }
    }
}

static struct watched *watched(struct repair_watch *watch, const struct repair_command *command)
{
    return &watch->rules[command->rule->index];
}

static uint64_t key_of(const struct repair_watch *watch, const struct repair_command *command)
{
    return hash_key(command->args[1].bytes, command->args[1].len, watch->seed);
}

static uint64_t asker_of(const struct repair_watch *watch, const struct repair_command *command, uint64_t owner)
{
    return hash_mix(key_of(watch, command) ^ command->rule->index, owner ^ UINT64_C(0xe7037ed1a0b428db));
}

/* Up to an eighth longer: who checks in step with the hold would always be the first when its place is free. */
static int64_t jittered(int64_t hold_us, uint64_t number)
{
    return hold_us + hold_us / 8 * (int64_t)(number * 40503 % 64) / 64;
}

static void check_terms(struct repair_watch *watch, const struct repair_command *command, uint64_t owner,
                        int64_t now_us, struct repair_terms *terms)
{
    struct repair_learn *learn = &watched(watch, command)->learn;

    terms->max = repair_learn_max(learn, now_us);
    terms->hold_us = jittered(repair_learn_hold_us(learn), terms->number);
    if (repair_askers_has_enough(&watch->askers, asker_of(watch, command, owner), now_us))
        terms->max = 0;
}

void repair_watch_terms(struct repair_watch *watch, const struct repair_command *command,
                        const struct repair_client *client, unsigned resp, int64_t now_us, struct repair_terms *terms)
{
    *terms = (struct repair_terms){
        .max = command->rule->max,
        .refused = repair_learn_refused(&watched(watch, command)->learn),
        .owner = client->owner,
        .number = ++watch->number,
        .free_only = client->looks,
        .resp = resp,
    };
    if (command->step == REPAIR_CHECK && !client->looks)
        check_terms(watch, command, client->owner, now_us, terms);
}

static enum repair_actors actors(const struct watched *rule)
{
    unsigned share = repair_recent_share(&rule->strangers);

    /* A pool's new connections may act before they ask: some do always. */
    if (share > REPAIR_RECENT_OF / 4)
        return REPAIR_ACTORS_DO_NOT_ASK;
    bool knows = rule->strangers.cases == REPAIR_RECENT_OF, none = rule->strangers.sum == 0;

    /* Where a monitor keeps a place, acts are few: what it is must be known before long. */
    if (rule->strangers.cases >= FEW_ACTORS && none)
        return REPAIR_ACTORS_ASK;
    return knows && share <= REPAIR_RECENT_OF / 8 ? REPAIR_ACTORS_ASK : REPAIR_ACTORS_UNKNOWN;
}

static void asked(struct repair_watch *watch, const struct repair_command *command, uint64_t owner,
                  const struct repair_terms *terms, bool refused, int64_t sent_us)
{
    uint64_t asker = asker_of(watch, command, owner);

    if (refused)
        repair_askers_refused(&watch->askers, asker, sent_us);
    else
        repair_askers_told(&watch->askers, asker, sent_us, terms->hold_us, actors(watched(watch, command)));
}

static void check_told(struct repair_watch *watch, const struct repair_command *command,
                       const struct repair_client *client, const struct repair_terms *terms, int64_t told,
                       int64_t sent_us, int64_t now_us)
{
    struct watched *rule = watched(watch, command);
    struct repair_stats *stats = &rule->stats;
    int64_t max = command->rule->max > 0 ? command->rule->max : rule->learn.stops_at;
    bool refused = terms && told >= terms->max;

    stats->checks++;
    stats->refused += refused;
    if (told < REPAIR_REFUSED_SURELY) {
        stats->above += max > 0 && told > max;
        stats->most = told > stats->most ? told : stats->most;
    }
    if (client->looks)
        return;
    if (terms)
        asked(watch, command, client->owner, terms, refused, sent_us);
    repair_pairs_check(watch->pairs,
                       &(struct repair_check){.key = key_of(watch, command),
                                              .owner = client->owner,
                                              .rule = command->rule->index,
                                              .told = told,
                                              .at_us = sent_us,
                                              .hold_us = repair_learn_hold_us(&rule->learn),
                                              .refused = refused},
                       now_us);
}

/* Whether another act came upon the key since; the act itself is the last one from now on. */
static bool overtaken(struct repair_watch *watch, const struct repair_check *act, int64_t checked_us)
{
    struct acted_key *last = &watch->acted[act->key % REMEMBERED];
    bool since = last->key == act->key && last->at_us > checked_us;

    *last = (struct acted_key){act->key, act->at_us};
    return since;
}

/* An act that added; `late` is known: it found fewer reservations than it needed. */
static void acted(struct repair_watch *watch, const struct repair_command *command, uint64_t owner, bool late,
                  int64_t sent_us, int64_t now_us)
{
    struct watched *rule = watched(watch, command);
    struct repair_learn *learn = &rule->learn;
    struct repair_check check = {.at_us = sent_us}, act = {.key = key_of(watch, command),
                                                           .owner = owner,
                                                           .rule = command->rule->index,
                                                           .at_us = sent_us};
    enum repair_match match = late ? repair_pairs_act_late(watch->pairs, &act, &check)
                                   : repair_pairs_act(watch->pairs, &act, repair_recent_is_often(&rule->swaps), &check);

    repair_recent_note(&rule->strangers, !repair_askers_acted(&watch->askers, asker_of(watch, command, owner)));
    rule->stats.late += late;
    rule->stats.unasked += match == REPAIR_UNASKED;
    rule->stats.overlaps += overtaken(watch, &act, check.at_us);
    if (match == REPAIR_UNASKED)
        return;
    if (match != REPAIR_REFUSED) {
        repair_learn_gap(learn, now_us - check.at_us); /* a place must also outlast what the backend takes */
        repair_learn_count(learn, check.told, true);
        repair_learn_found(learn, !late);
        repair_recent_note(&rule->swaps, match == REPAIR_OTHERS);
    } else if (late) {
        learn->goes_on = true;
    }
}

/* How many it added; -1: the reply does not say. */
static int64_t added(const struct repair_command *command, int64_t reply)
{
    switch (command->id) {
    case CMD_ZADD: /* with CH it is how many it changed */
        return command->first > 3 ? -1 : reply;
    case CMD_ZINCRBY:
        return -1;
    case CMD_SADD:
        return reply;
    default:
        return reply > 0 ? command->places : 0;
    }
}

static void act_told(struct repair_watch *watch, const struct repair_command *command,
                     const struct repair_client *client, const struct repair_terms *terms, const uint8_t *reply,
                     size_t len, int64_t sent_us, int64_t now_us)
{
    int64_t told[2], n = 0; /* places that it needed, reservations that it took */
    bool knows = terms && limit_told(reply, len, told) > 0;

    if (knows)
        n = told[0];
    else if (repair_reply_number(reply, len, &n))
        n = added(command, n);
    watched(watch, command)->stats.acts++;
    if (n > 0 && !client->looks)
        acted(watch, command, client->owner, knows && told[1] < n, sent_us, now_us);
}

/* A counter that is no more than what was added to it has begun just now. */
static void counted(struct repair_watch *watch, const struct repair_command *command, int64_t reply, int64_t now_us)
{
    if (command->places == 0 || reply != command->places)
        return;
    watched(watch, command)->stats.born++;
    repair_born_began(&watch->born, key_of(watch, command), command->rule->index, now_us);
}

void repair_watch_reply(struct repair_watch *watch, const struct repair_command *command,
                        const struct repair_client *client, const struct repair_terms *terms, const uint8_t *reply,
                        size_t len, int64_t sent_us, int64_t now_us)
{
    bool counter = command->rule->kind == REPAIR_COUNTER || command->rule->kind == REPAIR_INCR;
    bool is_number;
    int64_t n;

    if (command->step == REPAIR_ACT)
        act_told(watch, command, client, terms, reply, len, sent_us, now_us);
    is_number = repair_reply_number(reply, len, &n);
    if (is_number && command->step == REPAIR_CHECK)
        check_told(watch, command, client, terms, n, sent_us, now_us);
    else if (is_number && command->step == REPAIR_EXPIRE && n == 1)
        repair_born_ends(&watch->born, key_of(watch, command));
    else if (is_number && counter && !terms)
        counted(watch, command, n, now_us);
}

void repair_watch_sent(struct repair_watch *watch, const struct repair_command *command, int64_t wall_us)
{
    struct repair_stats *stats = &watched(watch, command)->stats;

    if (command->id == CMD_ZADD && command->step == REPAIR_ACT)
        repair_clocks_note(&stats->scores, &command->args[command->first - 1], wall_us);
    else if (command->step == REPAIR_PURGE)
        repair_clocks_note(&stats->cutoffs, &command->args[3], wall_us);
}

int64_t repair_watch_left_us(const struct repair_watch *watch, unsigned rule)
{
    const struct watched *watched = &watch->rules[rule];
    int64_t hold_us = repair_learn_hold_us(&watched->learn);
    int64_t left_us = LEFT_PAUSES * repair_learn_pause_us(&watched->learn);

    if (!repair_recent_is_seldom(&watched->strangers) || left_us == 0)
        return hold_us;
    left_us = left_us > LEFT_LEAST_US ? left_us : LEFT_LEAST_US;
    return left_us < hold_us ? left_us : hold_us;
}

static void endless(void *arg, unsigned rule)
{
    struct repair_watch *watch = arg;

    watch->rules[rule].stats.endless++;
}

void repair_watch_tick(struct repair_watch *watch, int64_t now_us)
{
    repair_pairs_tick(watch->pairs, now_us);
    repair_born_tick(&watch->born, now_us, endless, watch);
}

const struct repair_stats *repair_watch_stats(const struct repair_watch *watch, unsigned rule)
{
    return &watch->rules[rule].stats;
}

const struct repair_learn *repair_watch_learn(const struct repair_watch *watch, unsigned rule)
{
    return &watch->rules[rule].learn;
}
