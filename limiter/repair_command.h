/*
 * What a client's command is to a rule of repair: a check, an act, a count, or nothing. A command that would be an
 * error of its own, or that adds nothing, is nothing: it is sent as it is, so that its error stays its own. Pure; the
 * result points into the arguments. Rule: Redis docs of each command; limiter/scripts/repair_*.lua.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "limiter/limit_call.h"
#include "limiter/repair.h"

struct command;

enum repair_step {
    REPAIR_CHECK,  /* ZCARD, ZCOUNT, SCARD, LLEN, GET */
    REPAIR_ACT,    /* adds members, or raises a counter that is checked */
    REPAIR_COUNT,  /* changes a counter that shall end */
    REPAIR_PURGE,  /* ZREMRANGEBYSCORE */
    REPAIR_EXPIRE, /* gives a counter its end; only looked at */
};

struct repair_command {
    const struct repair_rule *rule;
    enum repair_step step;
    unsigned id; /* enum command_id */
    const struct limit_slice *args;
    uint32_t argc;
    uint32_t first, stride; /* members: args[first], args[first + stride] ...; first 0: none, `places` says it */
    int64_t places;         /* how many members there are, or by how much a counter rises; at most 2^53 - 1 */
    bool adds_score;        /* ZADD INCR */
};

/* Whether rules of the table may have to do with such commands, whatever their keys. */
bool repair_may_concern(const struct repair_table *table, const struct command *row);

/* The rule of a command of which no more than the key is known; NULL: none. */
const struct repair_rule *repair_rule_of(const struct repair_table *table, const struct command *row,
                                         const uint8_t *key, size_t len);

/* args[0] is the command's name and `row` its row. False: no rule has to do with it. */
bool repair_classify(struct repair_command *command, const struct repair_table *table, const struct command *row,
                     const struct limit_slice *args, uint32_t argc);

/* Whether a script takes its place while the rule is enforced. */
static inline bool repair_has_script(const struct repair_command *command)
{
    return command->step != REPAIR_EXPIRE;
}

/* More than a script passes at once: to be refused, with reply_text_rglimit_command. */
bool repair_too_many(const struct repair_command *command);
