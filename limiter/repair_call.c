#include "limiter/repair_call.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "limiter/grammar.h"
#include "limiter/hash.h"
#include "protocol/command.h"
#include "protocol/reply.h"

enum { CHECKED = COMPANION_NONE | COMPANION_HELD };

uint64_t repair_owner(uint64_t seed, uint64_t id)
{
    return hash_key((const uint8_t *)&id, sizeof id, seed);
}

static void put_text(struct grammar *g, unsigned which)
{
    grammar_put(g, g->call->texts[which]);
}

static void put_owner(struct grammar *g, uint64_t owner)
{
    snprintf(g->call->texts[0], sizeof g->call->texts[0], "%016" PRIx64, owner);
    put_text(g, 0);
}

/* The command with its arguments, the key left out. */
static void put_command(struct grammar *g)
{
    grammar_put_bytes(g, &g->args[0]);
    for (uint32_t i = 2; i < g->argc; i++)
        grammar_put_bytes(g, &g->args[i]);
}

static void check(struct grammar *g, const struct repair_terms *terms)
{
    struct limit_call *call = g->call;

    call->script = SCRIPT_repair_check;
    call->repeatable = true; /* a reservation of the same name is the same one */
    grammar_key(g, &g->args[1], CHECKED);
    grammar_put_number(g, terms->max);
    grammar_put_number(g, terms->hold_us);
    snprintf(call->texts[0], sizeof call->texts[0], "%016" PRIx64 ":%" PRIx64, terms->owner, terms->number);
    put_text(g, 0);
    grammar_put_number(g, terms->refused);
}

/* What tells n, and what tells whether a member is there. */
static const char *counts(enum repair_kind kind)
{
    return kind == REPAIR_ZSET ? "ZCARD" : kind == REPAIR_SET ? "SCARD" : kind == REPAIR_LIST ? "LLEN" : "GET";
}

static const char *knows(enum repair_kind kind)
{
    return kind == REPAIR_ZSET ? "ZSCORE" : kind == REPAIR_SET ? "SISMEMBER" : "";
}

/* What an act without a place is answered that is not recorded. */
static const char *rejected(const struct repair_command *command)
{
    if (command->adds_score)
        return "null";
    if (command->id == CMD_ZINCRBY)
        return "text";
    return command->rule->kind == REPAIR_COUNTER ? "above" : "zero";
}

static const char *late(const struct repair_command *command)
{
    switch (command->rule->late) {
    case REPAIR_LATE_REJECT:
        return rejected(command);
    case REPAIR_LATE_ERROR:
        return "error";
    default:
        return "record";
    }
}

static void act(struct grammar *g, const struct repair_command *command, const struct repair_terms *terms)
{
    enum { COMMAND_AT = 13 }; /* the position of the command in ARGV; its key is left out */
    struct limit_call *call = g->call;
    const struct repair_rule *rule = command->rule;

    call->script = SCRIPT_repair_act;
    call->shape = terms->plain ? LIMIT_AS_IT_IS : LIMIT_TOLD;
    grammar_key(g, &g->args[1], CHECKED);
    grammar_put_number(g, rule->max);
    if (terms->free_only)
        grammar_put(g, "");
    else
        put_owner(g, terms->owner);
    grammar_put(g, late(command));
    grammar_put(g, rule->name);
    grammar_put_number(g, rule->ttl_ms);
    grammar_put_number(g, terms->resp);
    grammar_put(g, counts(rule->kind));
    grammar_put(g, knows(rule->kind));
    grammar_put_number(g, command->first ? COMMAND_AT - 1 + (int64_t)command->first : command->places);
    grammar_put_number(g, command->stride);
    grammar_put(g, terms->plain ? "plain" : "tell");
}

static void count(struct grammar *g, const struct repair_command *command)
{
    const struct repair_rule *rule = command->rule;

    g->call->script = SCRIPT_repair_incr;
    grammar_key(g, &g->args[1], COMPANION_NONE);
    grammar_put_number(g, rule->ttl_ms);
    if (rule->max > 0 && command->places > 0)
        grammar_put_number(g, rule->max);
    else
        grammar_put(g, "");
    grammar_put_number(g, command->places);
}

static void purge(struct grammar *g)
{
    g->call->script = SCRIPT_repair_purge;
    grammar_key(g, &g->args[1], COMPANION_NONE | COMPANION_META);
}

void repair_call(struct limit_call *call, const struct repair_command *command, const struct repair_terms *terms)
{
    struct grammar g = {.call = call, .args = command->args, .argc = command->argc};

    assert(!repair_too_many(command) && repair_has_script(command));
    grammar_start(call);
    if (command->step == REPAIR_CHECK)
        check(&g, terms);
    else if (command->step == REPAIR_ACT)
        act(&g, command, terms);
    else if (command->step == REPAIR_COUNT)
        count(&g, command);
    else
        purge(&g);
    put_command(&g);
}

static bool shows(const struct repair_table *table, const struct limit_slice *key)
{
    const struct repair_rule *rule = repair_table_find(table, REPAIR_ZSET, key->bytes, key->len);

    return rule && rule->shows;
}

bool repair_call_show(struct limit_call *call, const struct repair_table *table, const struct limit_slice *args,
                      uint32_t argc, const struct limit_slice *text)
{
    struct grammar g = {.call = call};
    int64_t keys;

    if (argc < 1 || !number_read(args[0].bytes, args[0].len, &keys) || keys < 1 || keys > argc - 1)
        return false;
    if (text->len && text->bytes[0] == '#') /* flags, which cannot stand within another script */
        return false;
    grammar_start(call);
    call->script = SCRIPT_repair_show;
    call->client = *text;
    for (int64_t i = 1; i <= keys; i++)
        grammar_key(&g, &args[i], COMPANION_NONE);
    grammar_put_number(&g, keys);
    for (int64_t i = 1; i <= keys; i++) {
        if (!shows(table, &args[i]))
            continue;
        grammar_key(&g, &args[i], COMPANION_HELD);
        grammar_put_number(&g, i);
    }
    for (uint32_t i = (uint32_t)keys + 1; i < argc; i++)
        grammar_put_bytes(&g, &args[i]);
    return call->key_count > keys;
}

void repair_call_leave(struct limit_call *call, const struct limit_slice *key, uint64_t owner, int64_t left_us)
{
    struct grammar g = {.call = call};

    grammar_start(call);
    call->script = SCRIPT_repair_leave;
    call->repeatable = true;
    grammar_key(&g, key, CHECKED);
    put_owner(&g, owner);
    grammar_put_number(&g, left_us);
}

bool repair_has_place(const struct repair_command *command, const struct repair_terms *terms, const uint8_t *reply,
                      size_t len)
{
    int64_t told;

    return command->step == REPAIR_CHECK && terms->hold_us > 0 && repair_reply_number(reply, len, &told) &&
           told < terms->max;
}

bool repair_reply_number(const uint8_t *reply, size_t len, int64_t *n)
{
    const uint8_t *end = reply + len, *cr = memchr(reply, '\r', len);

    *n = 0;
    if (reply_starts_with(reply, len, "$-1\r") || reply_starts_with(reply, len, "_\r"))
        return true;
    if (cr && reply[0] == '$') {
        reply = cr + 1;
        cr = memchr(reply, '\r', (size_t)(end - reply));
    } else if (!cr || reply[0] != ':') {
        return false;
    }
    return cr && cr > reply && number_read(reply + 1, (size_t)(cr - reply - 1), n);
}

static void put_count(struct reply_writer *w, int64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRId64, n);

    reply_bulk(w, digits, (size_t)len);
}

static void check_down(struct reply_writer *w, const struct repair_command *command, int64_t n, unsigned resp)
{
    if (command->id != CMD_GET)
        reply_integer(w, n);
    else if (n > 0)
        put_count(w, n);
    else
        reply_null(w, resp);
}

/* A score that was added: the increment, in the connection's way. */
static void score_down(struct reply_writer *w, const struct limit_slice *score, bool allow, unsigned resp)
{
    char text[NUMBER_FLOAT_MAX];
    long double by = 0;

    if (!allow || !number_read_float(score->bytes, score->len, &by))
        by = 0;
    size_t len = number_print_float(text, by);

    if (resp < 3) {
        reply_bulk(w, text, len);
        return;
    }
    reply_raw(w, ",", 1);
    reply_raw(w, text, len);
    reply_raw(w, "\r\n", 2);
}

void repair_down(struct reply_writer *w, const struct repair_command *command, bool allow, int64_t deny_count,
                 unsigned resp)
{
    const struct repair_rule *rule = command->rule;
    bool counter = rule->kind == REPAIR_COUNTER || rule->kind == REPAIR_INCR;

    if (command->step == REPAIR_CHECK)
        check_down(w, command, allow ? 0 : deny_count, resp);
    else if (command->step == REPAIR_PURGE)
        reply_integer(w, 0);
    else if (command->step == REPAIR_EXPIRE)
        reply_integer(w, allow);
    else if (counter && (command->places == 0 || (!allow && rule->max == 0)))
        reply_error(w, reply_text_rgunavail);
    else if (counter)
        reply_integer(w, allow ? command->places : rule->max + 1);
    else if (command->adds_score && !allow)
        reply_null(w, resp);
    else if (command->adds_score || command->id == CMD_ZINCRBY)
        score_down(w, &command->args[command->first - 1], allow, resp);
    else
        reply_integer(w, allow ? command->places : 0);
}
