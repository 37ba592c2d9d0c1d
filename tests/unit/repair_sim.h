/*
 * Clients that check, pause, act, hold and release, against a key and its reservations as limiter/scripts/repair_*.lua
 * keep them, on a clock that jumps from event to event; a repair_watch sees every reply. The same seed gives the same
 * run. Used by the tests of repair_watch. The scripts themselves are tested against a real Redis elsewhere.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/repair_watch.h"
#include "protocol/command.h"

enum { SIM_CLIENTS_MAX = 64, SIM_HELD_MAX = 4096 };
#define SIM_S INT64_C(1000000)

enum sim_next { SIM_CHECK, SIM_ACT, SIM_RELEASE };

/* What a run is about; zeros: each client has its connection, the rule is enforced, nobody monitors. */
struct sim_way {
    unsigned clients, connections; /* connections 0: one each; 1: shared by all; else swapped at every command */
    int64_t client_max, rule_max;
    int64_t pause_us, hold_us, retry_us; /* up to twice that */
    bool observe;
    unsigned monitor_hz;
    bool monitor_in_pool;
};

struct sim_held {
    uint64_t owner, number;
    int64_t until_us;
};

struct sim {
    struct sim_way way;
    struct repair_table *table;
    struct repair_watch *watch;
    uint64_t random;
    int64_t now_us;
    struct {
        enum sim_next next;
        int64_t at_us;
    } clients[SIM_CLIENTS_MAX + 1]; /* the last one monitors */
    unsigned holders, most, late;
    double held_us; /* holders x time, since the figures were reset */
    int64_t since_us;
    unsigned held;
    struct sim_held held_by[SIM_HELD_MAX];
};

static inline uint64_t sim_random(struct sim *sim)
{
    sim->random ^= sim->random << 13;
    sim->random ^= sim->random >> 7;
    return sim->random ^= sim->random << 17;
}

static inline int64_t sim_about(struct sim *sim, int64_t mean_us)
{
    return (int64_t)(sim_random(sim) % (uint64_t)(2 * mean_us + 1));
}

static inline void sim_open(struct sim *sim, const struct sim_way *way)
{
    struct repair_rule rule = {.name = "runs",
                               .pattern = "k*",
                               .kind = REPAIR_ZSET,
                               .mode = way->observe ? REPAIR_OBSERVE : REPAIR_ENFORCE,
                               .max = way->rule_max};

    *sim = (struct sim){.way = *way, .random = 88172645463325252, .now_us = SIM_S};
    sim->table = repair_table_new(&rule, 1);
    sim->watch = repair_watch_new(sim->table, 4096, 5);
    assert_non_null(sim->watch);
    for (unsigned i = 0; i < way->clients; i++)
        sim->clients[i].at_us = sim->now_us + sim_about(sim, SIM_S / 2);
    sim->clients[SIM_CLIENTS_MAX].at_us = sim->now_us;
}

static inline void sim_close(struct sim *sim)
{
    repair_watch_free(sim->watch);
    repair_table_free(sim->table);
}

static inline unsigned sim_live(struct sim *sim)
{
    unsigned live = 0;

    for (unsigned i = 0; i < sim->held; i++) {
        if (sim->held_by[i].until_us > sim->now_us)
            sim->held_by[live++] = sim->held_by[i];
    }
    return sim->held = live;
}

/* The owner's oldest, else the oldest; they stand in the order of their end, but for a change of the hold. */
static inline bool sim_take(struct sim *sim, uint64_t owner)
{
    unsigned taken = sim->held;

    for (unsigned i = 0; i < sim->held; i++) {
        bool first = taken == sim->held, own = sim->held_by[i].owner == owner;
        bool had_own = !first && sim->held_by[taken].owner == owner;

        if (first || (own && !had_own) || (own == had_own && sim->held_by[i].until_us < sim->held_by[taken].until_us))
            taken = i;
    }
    if (taken == sim->held)
        return false;
    sim->held_by[taken] = sim->held_by[--sim->held];
    return true;
}

/* A reservation; one of the same owner and number is the same. */
static inline void sim_hold(struct sim *sim, const struct repair_terms *terms)
{
    unsigned i = 0;

    while (i < sim->held && (sim->held_by[i].owner != terms->owner || sim->held_by[i].number != terms->number))
        i++;
    assert_true(i < SIM_HELD_MAX);
    sim->held_by[i] = (struct sim_held){terms->owner, terms->number, sim->now_us + terms->hold_us};
    sim->held += i == sim->held;
}

/* A command's way through: classified, sent with its terms, answered, told. Returns the reply. */
static inline int64_t sim_command(struct sim *sim, uint64_t owner, const char *const words[], uint32_t argc)
{
    struct limit_slice args[4];
    struct repair_command command;
    struct repair_terms terms;
    struct repair_client client = {.owner = owner};
    const struct command *row = command_find((const uint8_t *)words[0], strlen(words[0]), NULL, 0);
    char text[32];

    for (uint32_t i = 0; i < argc; i++)
        args[i] = (struct limit_slice){(const uint8_t *)words[i], strlen(words[i])};
    assert_true(repair_classify(&command, sim->table, row, args, argc));
    repair_watch_terms(sim->watch, &command, &client, 2, sim->now_us, &terms);
    bool enforced = !sim->way.observe, taken = true;
    int64_t reply = 1, live = enforced ? sim_live(sim) : 0;

    if (command.step == REPAIR_CHECK) {
        reply = sim->holders + live;
        if (enforced && reply >= terms.max)
            reply = reply > terms.refused ? reply : terms.refused;
        else if (enforced)
            sim_hold(sim, &terms);
    } else if (enforced) {
        taken = sim_take(sim, owner);
        sim->late += !taken;
    }
    int len = snprintf(text, sizeof text, ":%lld\r\n", (long long)reply);

    if (enforced && command.step == REPAIR_ACT)
        len = snprintf(text, sizeof text, "*3\r\n:1\r\n:%d\r\n:1\r\n", taken);
    repair_watch_reply(sim->watch, &command, &client, enforced ? &terms : NULL, (const uint8_t *)text, (size_t)len,
                       sim->now_us, sim->now_us);
    return reply;
}

static inline uint64_t sim_owner(struct sim *sim, unsigned who)
{
    unsigned connections = sim->way.connections;

    if (connections == 0 || (who == SIM_CLIENTS_MAX && !sim->way.monitor_in_pool))
        return repair_owner(1, who);
    return repair_owner(1, connections == 1 ? 0 : sim_random(sim) % connections);
}

static inline void sim_step(struct sim *sim, unsigned who)
{
    static const char *const check[] = {"ZCARD", "k"}, *const act[] = {"ZADD", "k", "1", "t"};
    uint64_t owner = sim_owner(sim, who);
    int64_t wait_us = sim->way.retry_us;

    if (who == SIM_CLIENTS_MAX) {
        sim_command(sim, owner, check, 2);
        sim->clients[who].at_us += SIM_S / sim->way.monitor_hz;
        return;
    }
    if (sim->clients[who].next == SIM_CHECK) {
        if (sim_command(sim, owner, check, 2) < sim->way.client_max) {
            sim->clients[who].next = SIM_ACT;
            wait_us = sim->way.pause_us;
        }
    } else if (sim->clients[who].next == SIM_ACT) {
        sim_command(sim, owner, act, 4);
        sim->holders++;
        sim->most = sim->holders > sim->most ? sim->holders : sim->most;
        sim->clients[who].next = SIM_RELEASE;
        wait_us = sim->way.hold_us;
    } else {
        sim->holders--;
        sim->clients[who].next = SIM_CHECK;
    }
    sim->clients[who].at_us = sim->now_us + sim_about(sim, wait_us);
}

static inline void sim_run(struct sim *sim, int64_t seconds)
{
    int64_t end_us = sim->now_us + seconds * SIM_S, tick_us = sim->now_us;

    for (;;) {
        unsigned who = 0;

        for (unsigned i = 1; i < sim->way.clients; i++)
            who = sim->clients[i].at_us < sim->clients[who].at_us ? i : who;
        if (sim->way.monitor_hz && sim->clients[SIM_CLIENTS_MAX].at_us < sim->clients[who].at_us)
            who = SIM_CLIENTS_MAX;
        if (sim->clients[who].at_us > end_us)
            return;
        sim->held_us += sim->holders * (double)(sim->clients[who].at_us - sim->now_us);
        sim->now_us = sim->clients[who].at_us;
        sim_step(sim, who);
        for (; tick_us < sim->now_us; tick_us += SIM_S)
            repair_watch_tick(sim->watch, sim->now_us);
    }
}

/* Figures from here on. */
static inline void sim_reset(struct sim *sim)
{
    sim->held_us = 0;
    sim->since_us = sim->now_us;
    sim->most = sim->holders;
    sim->late = 0;
}

/* Mean share of the client's own limit that was held. */
static inline double sim_use(const struct sim *sim)
{
    return sim->held_us / (double)(sim->now_us - sim->since_us) / (double)sim->way.client_max;
}
