#include "limiter/repair_command.h"

#include <string.h>
#include <strings.h>

#include "protocol/command.h"

static bool is_word(const struct limit_slice *arg, const char *word)
{
    return arg->len == strlen(word) && strncasecmp((const char *)arg->bytes, word, arg->len) == 0;
}

/* What each command is, and to rules of which kinds. */
static const struct role {
    uint8_t kinds, step;
} roles[CMD_UNKNOWN + 1] = {
    [CMD_ZCARD] = {REPAIR_ZSET, REPAIR_CHECK},
    [CMD_ZCOUNT] = {REPAIR_ZSET, REPAIR_CHECK},
    [CMD_SCARD] = {REPAIR_SET, REPAIR_CHECK},
    [CMD_LLEN] = {REPAIR_LIST, REPAIR_CHECK},
    [CMD_GET] = {REPAIR_COUNTER, REPAIR_CHECK},
    [CMD_ZADD] = {REPAIR_ZSET, REPAIR_ACT},
    [CMD_ZINCRBY] = {REPAIR_ZSET, REPAIR_ACT},
    [CMD_SADD] = {REPAIR_SET, REPAIR_ACT},
    [CMD_LPUSH] = {REPAIR_LIST, REPAIR_ACT},
    [CMD_LPUSHX] = {REPAIR_LIST, REPAIR_ACT},
    [CMD_RPUSH] = {REPAIR_LIST, REPAIR_ACT},
    [CMD_RPUSHX] = {REPAIR_LIST, REPAIR_ACT},
    [CMD_INCR] = {REPAIR_COUNTER | REPAIR_INCR, REPAIR_ACT},
    [CMD_INCRBY] = {REPAIR_COUNTER | REPAIR_INCR, REPAIR_ACT},
    [CMD_DECR] = {REPAIR_COUNTER | REPAIR_INCR, REPAIR_ACT},
    [CMD_DECRBY] = {REPAIR_COUNTER | REPAIR_INCR, REPAIR_ACT},
    [CMD_INCRBYFLOAT] = {REPAIR_INCR, REPAIR_ACT},
    [CMD_EXPIRE] = {REPAIR_COUNTER | REPAIR_INCR, REPAIR_EXPIRE},
    [CMD_EXPIREAT] = {REPAIR_COUNTER | REPAIR_INCR, REPAIR_EXPIRE},
    [CMD_PEXPIRE] = {REPAIR_COUNTER | REPAIR_INCR, REPAIR_EXPIRE},
    [CMD_PEXPIREAT] = {REPAIR_COUNTER | REPAIR_INCR, REPAIR_EXPIRE},
    [CMD_ZREMRANGEBYSCORE] = {REPAIR_ZSET, REPAIR_PURGE},
};

static bool members(struct repair_command *command, uint32_t first, uint32_t stride)
{
    command->first = first;
    command->stride = stride;
    command->places = (command->argc - first + stride - 1) / stride;
    return true;
}

/* ZADD key [NX|XX|GT|LT|CH|INCR ...] score member ...: false for a mistake, and for XX, which never adds. */
static bool zadd(struct repair_command *command)
{
    enum { NX = 1, GT = 2, LT = 4, CH = 8, INCR = 16 };
    static const char *const words[] = {"NX", "GT", "LT", "CH", "INCR"};
    unsigned flags = 0;
    uint32_t at = 2;

    while (at < command->argc) {
        unsigned i = 0;

        while (i < 5 && !is_word(&command->args[at], words[i]))
            i++;
        if (i == 5)
            break;
        flags |= 1u << i;
        at++;
    }
    unsigned exclusive = flags & (NX | GT | LT);
    uint32_t left = command->argc - at;

    command->adds_score = flags & INCR;
    if (left < 2 || left % 2 != 0 || (exclusive & (exclusive - 1)) || (command->adds_score && left > 2))
        return false;
    return !is_word(&command->args[at], "XX") && members(command, at + 1, 2);
}

/* How much an integer counter rises; false where the number is a mistake. */
static bool rises(const struct repair_command *command, int64_t *by)
{
    *by = command->id == CMD_INCR ? 1 : -1;
    if (command->id == CMD_INCR || command->id == CMD_DECR)
        return true;
    if (!number_read(command->args[2].bytes, command->args[2].len, by))
        return false;
    if (command->id == CMD_DECRBY)
        *by = *by > -LIMIT_NEVER_US ? -*by : LIMIT_NEVER_US;
    if (*by > LIMIT_NEVER_US)
        *by = LIMIT_NEVER_US;
    return true;
}

/* What falls, or does not move, needs no place, but an end all the same. */
static bool counter(struct repair_command *command)
{
    int64_t by = 0;

    if (command->id != CMD_INCRBYFLOAT && !rises(command, &by))
        return false;
    command->places = by > 0 ? by : 0;
    if (command->rule->kind == REPAIR_INCR)
        command->step = REPAIR_COUNT;
    return command->step == REPAIR_COUNT || by > 0;
}

static bool act(struct repair_command *command)
{
    switch (command->id) {
    case CMD_ZADD:
        return zadd(command);
    case CMD_ZINCRBY:
        return members(command, 3, 1);
    case CMD_SADD:
        return members(command, 2, 1);
    case CMD_LPUSH:
    case CMD_LPUSHX:
    case CMD_RPUSH:
    case CMD_RPUSHX:
        command->places = command->argc - 2;
        return true;
    default:
        return counter(command);
    }
}

bool repair_may_concern(const struct repair_table *table, const struct command *row)
{
    unsigned kinds = roles[row->id].kinds;

    for (size_t i = 0; i < repair_table_count(table); i++)
        if (repair_table_at(table, i)->kind & kinds)
            return true;
    return false;
}

const struct repair_rule *repair_rule_of(const struct repair_table *table, const struct command *row,
                                         const uint8_t *key, size_t len)
{
    return repair_table_find(table, roles[row->id].kinds, key, len);
}

bool repair_classify(struct repair_command *command, const struct repair_table *table, const struct command *row,
                     const struct limit_slice *args, uint32_t argc)
{
    const struct role *role = &roles[row->id];

    if (!role->kinds || argc < 2 || !command_arity_ok(row, argc) || args[1].len > UINT32_MAX / 2)
        return false;
    const struct repair_rule *rule = repair_rule_of(table, row, args[1].bytes, args[1].len);

    if (!rule)
        return false;
    *command = (struct repair_command){
        .rule = rule, .step = (enum repair_step)role->step, .id = row->id, .args = args, .argc = argc};
    /* Who wants to know how many there are in all, on a key whose live ones are counted, is a monitor. */
    if (row->id == CMD_ZCOUNT && is_word(&args[2], "-inf") && is_word(&args[3], "+inf"))
        return false;
    return command->step != REPAIR_ACT || act(command);
}

bool repair_too_many(const struct repair_command *command)
{
    bool counts = command->rule->kind == REPAIR_COUNTER || command->rule->kind == REPAIR_INCR;

    return command->argc > 2 * LIMIT_TOKENS_MAX + 8 || (!counts && command->places > LIMIT_TOKENS_MAX);
}
