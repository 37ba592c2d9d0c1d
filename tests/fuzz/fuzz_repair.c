/*
 * Any bytes as a command of a client whose keys are repaired: what a rule has to do with is encoded in the length that
 * was announced, is one request by the proxy's own scanner, names keys of one slot, passes on every argument but the
 * key, and is answered in one reply without a backend. What is learnt from any reply keeps its bounds. The first byte
 * chooses how, the second the command; the arguments are parted by blanks, the last two may be repeated.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/companion.h"
#include "limiter/pattern.h"
#include "limiter/repair_report.h"
#include "protocol/command.h"
#include "protocol/reply.h"
#include "protocol/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARGS_MAX = 2100 };

static const char *const names[] = {"ZADD",   "ZADD",   "ZADD",  "ZINCRBY",         "ZCARD", "ZCOUNT",
                                    "SADD",   "SCARD",  "LPUSH", "RPUSHX",          "LLEN",  "INCRBY",
                                    "INCR",   "DECRBY", "DECR",  "INCRBYFLOAT",     "GET",   "SET",
                                    "EXPIRE", "ZCARD",  "ZREM",  "ZREMRANGEBYSCORE"};

static struct repair_table *table;
static struct repair_watch *watch;
static int64_t now_us;
static struct limit_call call;
static struct limit_slice args[ARGS_MAX];

static uint32_t part(const uint8_t *data, size_t size, const char *name, size_t repeat)
{
    uint32_t argc = 1;

    args[0] = (struct limit_slice){(const uint8_t *)name, strlen(name)};
    for (const uint8_t *end = data + size; data < end && argc < 64; argc++) {
        const uint8_t *blank = memchr(data, ' ', (size_t)(end - data));
        size_t len = (size_t)((blank ? blank : end) - data);

        args[argc] = (struct limit_slice){data, len};
        data += len + 1;
    }
    for (size_t i = 0; i < repeat && argc > 2 && argc < ARGS_MAX; i++, argc++)
        args[argc] = args[argc - 2];
    return argc;
}

/* The arguments of the client stand at the end of the script's, in their order. */
static void check_request(const struct repair_command *command, enum limit_form form)
{
    const struct request_limits limits = {.max_args = 16384, .max_bulk = 1 << 24, .authenticated = true};
    size_t len = limit_call_encode(&call, DIALECT_PLAIN, form, LIMIT_NEVER_US, NULL), arg_len;
    uint8_t *bytes = malloc(len);
    struct request_scan scan = {0};
    struct request_args walk;
    const uint8_t *arg;

    assert(bytes && limit_call_encode(&call, DIALECT_PLAIN, form, LIMIT_NEVER_US, bytes) == len);
    assert(request_scan(&scan, bytes, len, &limits) == RESP_DONE && scan.pos == len);
    request_args_start(&walk, bytes, len);
    uint32_t keys = command->step == REPAIR_COUNT ? 1 : 2, tail = scan.argc - (command->argc - 2);
    for (uint32_t i = 0; request_args_next(&walk, &arg, &arg_len); i++) {
        if (i >= 3 && i < 3 + keys)
            assert(companion_slot(arg, arg_len) == companion_slot(args[1].bytes, args[1].len));
        if (i >= tail) {
            const struct limit_slice *own = &args[2 + i - tail];

            assert(own->len == arg_len && (arg_len == 0 || memcmp(own->bytes, arg, arg_len) == 0));
        }
    }
    free(bytes);
}

static void check_places(const struct repair_command *command)
{
    assert(command->places >= 0 && command->places <= LIMIT_NEVER_US);
    if (command->first) {
        assert(command->first > 1 && command->places >= 1 && command->stride >= 1);
        assert(command->first + (command->places - 1) * command->stride < command->argc);
        assert(command->first + command->places * command->stride >= command->argc);
    }
}

static void check_down(const struct repair_command *command, unsigned resp)
{
    uint8_t bytes[1024];

    for (int allow = 0; allow < 2; allow++) {
        struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};
        struct reply_scan scan = {0};

        repair_down(&w, command, allow, 1000000000, resp);
        reply_scan_reset(&scan);
        assert(!w.full && reply_scan(&scan, bytes, w.len, &reply_limits_default) == RESP_DONE && scan.pos == w.len);
    }
}

/* The input is the reply, too; or, every other time, one that an act is told. */
static void check_watch(const struct repair_command *command, const uint8_t *data, size_t size)
{
    struct repair_client client = {.owner = data[2] & 7, .looks = data[0] & 32};
    struct repair_terms terms;
    char text[REPAIR_REPORT_MAX];
    uint8_t told[] = "*3\r\n:1\r\n:0\r\n:1\r\n";

    now_us += data[2] * INT64_C(10000);
    repair_watch_terms(watch, command, &client, 2, now_us, &terms);
    assert(terms.max >= 0 && terms.max <= command->rule->max && terms.refused >= terms.max);
    assert(client.looks || command->step != REPAIR_CHECK || (terms.hold_us >= 250000 && terms.hold_us <= 5700000));
    told[9] = data[2] & 64 ? '1' : '0';
    repair_watch_sent(watch, command, now_us);
    if (data[0] & 64)
        repair_watch_reply(watch, command, &client, &terms, told, sizeof told - 1, now_us, now_us);
    else
        repair_watch_reply(watch, command, &client, data[0] & 128 ? &terms : NULL, data + 3, size - 3, now_us, now_us);
    repair_watch_tick(watch, now_us);
    size_t len = repair_report(text, command->rule, repair_watch_stats(watch, command->rule->index),
                               repair_watch_learn(watch, command->rule->index));
    assert(len > 0 && len <= sizeof text && text[len - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct repair_rule rules[] = {
        {.name = "z", .pattern = "[a-m]*", .kind = REPAIR_ZSET, .max = 5, .late = REPAIR_LATE_REJECT},
        {.name = "s", .pattern = "*", .kind = REPAIR_SET, .max = 5, .late = REPAIR_LATE_ERROR},
        {.name = "l", .pattern = "*", .kind = REPAIR_LIST, .max = 5},
        {.name = "c", .pattern = "c*", .kind = REPAIR_COUNTER, .max = 5, .ttl_ms = 1000},
        {.name = "i", .pattern = "*", .kind = REPAIR_INCR, .max = 5, .ttl_ms = 1000},
    };
    struct repair_terms terms = {.max = 5, .refused = 5, .hold_us = 1000, .owner = 7, .number = UINT64_MAX, .resp = 2};
    struct repair_command command;

    if (!table) {
        table = repair_table_new(rules, sizeof rules / sizeof rules[0]);
        watch = repair_watch_new(table, 64, 1);
        assert(watch);
    }
    if (size < 3)
        return 0;
    const char *name = names[data[1] % (sizeof names / sizeof names[0])];
    uint32_t argc = part(data + 3, size - 3, name, data[0] & 1 ? (size_t)data[2] * 10 : 0);

    terms.free_only = data[0] & 2;
    terms.resp = data[0] & 4 ? 3 : 2;
    if (data[0] & 8) /* a pattern that is the client's choice shall not take long or read beyond its end */
        pattern_matches((const char *)data + 3, (size - 3) / 2, data + 3 + (size - 3) / 2, size - 3 - (size - 3) / 2);
    if (!repair_classify(&command, table, command_find((const uint8_t *)name, strlen(name), NULL, 0), args, argc))
        return 0;
    check_watch(&command, data, size);
    if (!repair_has_script(&command))
        return 0;
    check_places(&command);
    check_down(&command, terms.resp);
    if (repair_too_many(&command))
        return 0;
    repair_call(&call, &command, &terms);
    check_request(&command, data[0] & 16 ? LIMIT_EVAL : LIMIT_EVALSHA);
    return 0;
}
