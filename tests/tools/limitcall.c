/*
 * What respgate makes of a limiter command, without a proxy around it: reads one request in RESP on stdin and writes
 * what a backend would get, or the error reply that the client would get (exit code 1). With --reply a script's reply
 * follows the request on stdin, and what the client would get of it is written (exit code 3: the script is not loaded).
 *
 * With --repair requests are those of a client that knows nothing of limits, under one rule: as many as there are, each
 * with its reply. What the rule has nothing to do with is written as it is.
 *
 *   limitcall [--eval] [--upstash] [--leave] [--exact] [--reservations] [--deadline-us N] | --reply 2|3
 *             [--repair KIND MAX TTL-MS LATE PATTERN [--number N] [--owner N] [--resp 2|3] [--plain] [--look]]
 *             (the words of [limit])
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/limit_verdict.h"
#include "limiter/repair_call.h"
#include "protocol/command.h"
#include "protocol/reply.h"
#include "protocol/resp.h"

enum { RULE_WORDS = 5, ARGS_MAX = 2100, INPUT_MAX = 16 << 20, EXIT_USAGE = 64, EXIT_NOT_LOADED = 3 };

struct options {
    enum limit_dialect dialect;
    enum limit_form form;
    struct limit_settings settings;
    bool leave;
    unsigned resp; /* 0: no reply is expected */
    int64_t deadline_us;
    struct repair_rule rule; /* without a name: none */
    struct repair_terms terms;
};

static struct limit_call call;
static struct limit_slice args[ARGS_MAX];
static uint8_t input[INPUT_MAX];

static void write_all(const uint8_t *bytes, size_t len)
{
    if (fwrite(bytes, 1, len, stdout) != len || fflush(stdout) != 0)
        exit(EXIT_FAILURE);
}

static unsigned word(const char *const *words, const char *text)
{
    unsigned i = 0;

    while (words[i] && strcmp(words[i], text) != 0)
        i++;
    return i;
}

static void read_rule(char **argv, struct options *options)
{
    static const char *const kinds[] = {"zset", "set", "list", "counter", "incr", NULL};
    static const char *const lates[] = {"record", "reject", "error", NULL};

    options->rule = (struct repair_rule){
        .name = "rule",
        .kind = (enum repair_kind)(1u << word(kinds, argv[0])),
        .max = strtoll(argv[1], NULL, 10),
        .ttl_ms = strtoll(argv[2], NULL, 10),
        .late = (enum repair_late)word(lates, argv[3]),
        .pattern = argv[4],
    };
    options->terms.max = options->terms.refused = options->rule.max;
}

/* An option with a number. */
static bool read_number(const char *name, const char *text, struct options *options)
{
    unsigned long long n = strtoull(text, NULL, 10);

    if (strcmp(name, "--deadline-us") == 0)
        options->deadline_us = (int64_t)n;
    else if (strcmp(name, "--reply") == 0)
        options->resp = (unsigned)n;
    else if (strcmp(name, "--number") == 0)
        options->terms.number = n;
    else if (strcmp(name, "--owner") == 0)
        options->terms.owner = n;
    else if (strcmp(name, "--resp") == 0)
        options->terms.resp = (unsigned)n;
    else
        return false;
    return true;
}

static bool read_options(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--eval") == 0)
            options->form = LIMIT_EVAL;
        else if (strcmp(argv[i], "--upstash") == 0)
            options->dialect = DIALECT_UPSTASH;
        else if (strcmp(argv[i], "--leave") == 0)
            options->leave = true;
        else if (strcmp(argv[i], "--exact") == 0)
            options->settings.throttle_exact = true;
        else if (strcmp(argv[i], "--plain") == 0)
            options->terms.plain = true;
        else if (strcmp(argv[i], "--look") == 0)
            options->terms.free_only = true;
        else if (strcmp(argv[i], "--reservations") == 0)
            options->settings.reservations = true;
        else if (strcmp(argv[i], "--repair") == 0 && i + RULE_WORDS < argc) {
            read_rule(argv + i + 1, options);
            i += RULE_WORDS;
        } else if (i + 1 >= argc || !read_number(argv[i], argv[i + 1], options))
            return false;
        else
            i++;
    }
    return true;
}

/* The length of the request there; 0 when it is none. */
static size_t read_request(const uint8_t *bytes, size_t len, uint32_t *argc)
{
    const struct request_limits limits = {.max_args = ARGS_MAX, .max_bulk = INPUT_MAX, .authenticated = true};
    struct request_scan scan = {0};
    struct request_args walk;

    if (request_scan(&scan, bytes, len, &limits) != RESP_DONE || scan.is_inline || scan.argc == 0)
        return 0;
    request_args_start(&walk, bytes, scan.pos);
    for (*argc = 0; *argc < scan.argc; (*argc)++)
        request_args_next(&walk, &args[*argc].bytes, &args[*argc].len);
    return scan.pos;
}

static int encode(const struct options *options)
{
    if (options->leave)
        limit_call_leave(&call);
    size_t len = limit_call_encode(&call, options->dialect, options->form, options->deadline_us, NULL);
    uint8_t *bytes = malloc(len);

    if (!bytes)
        return EXIT_FAILURE;
    limit_call_encode(&call, options->dialect, options->form, options->deadline_us, bytes);
    write_all(bytes, len);
    free(bytes);
    return EXIT_SUCCESS;
}

static int shape(const struct options *options, const uint8_t *reply, size_t len)
{
    size_t room = limit_verdict_room(len);
    struct reply_writer w = {.bytes = malloc(room), .cap = room};
    enum limit_outcome outcome;

    if (!w.bytes)
        return EXIT_FAILURE;
    outcome = limit_verdict(call.shape, options->resp, reply, len, &w);
    if (outcome == LIMIT_PASS || outcome == LIMIT_TOO_LATE)
        write_all(reply, len);
    else
        write_all(w.bytes, w.len);
    free(w.bytes);
    return outcome == LIMIT_NOT_LOADED ? EXIT_NOT_LOADED : EXIT_SUCCESS;
}

static int refuse(void)
{
    uint8_t bytes[LIMIT_ERROR_MAX + 16];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof bytes};

    reply_error(&w, call.error);
    write_all(bytes, w.len);
    return EXIT_FAILURE;
}

/* False: the rule has nothing to do with the request. The call points into the table. */
static bool repair(const struct options *options, const struct repair_table *table, const struct command *row,
                   uint32_t argc)
{
    struct repair_command command;
    bool has = table && repair_classify(&command, table, row, args, argc) && repair_has_script(&command);

    struct repair_terms terms = options->terms;

    if (terms.free_only)
        terms.hold_us = 0;
    if (has)
        repair_call(&call, &command, &terms);
    return has;
}

/* The reply's length; 0 when it is none. */
static size_t reply_len(const uint8_t *bytes, size_t len)
{
    struct reply_scan scan;

    reply_scan_reset(&scan);
    return reply_scan(&scan, bytes, len, &reply_limits_default) == RESP_DONE ? scan.pos : 0;
}

/* One request, and its reply; how much that was, or 0. */
static size_t repair_one(const struct options *options, const struct repair_table *table, const uint8_t *bytes,
                         size_t len)
{
    uint32_t argc = 0;
    size_t request = read_request(bytes, len, &argc), reply = 0;
    const struct command *row = request ? command_find(args[0].bytes, args[0].len, NULL, 0) : NULL;

    if (options->resp && request)
        reply = reply_len(bytes + request, len - request);
    if (!row || (options->resp && !reply))
        return 0;
    if (!repair(options, table, row, argc))
        write_all(reply ? bytes + request : bytes, reply ? reply : request);
    else if (reply)
        shape(options, bytes + request, reply);
    else
        encode(options);
    return request + reply;
}

static int run_repair(struct options *options, size_t len)
{
    struct repair_table *table = repair_table_new(&options->rule, 1);
    size_t at = 0, one = 1;

    for (; one && at < len; at += one, options->terms.number++)
        one = repair_one(options, table, input + at, len - at);
    repair_table_free(table);
    return one ? EXIT_SUCCESS : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct options options = {.deadline_us = LIMIT_NEVER_US,
                              .settings = {.ticket_ms = 3000},
                              .terms = {.hold_us = 60000000, .owner = 1, .number = 1, .resp = 2}};
    uint32_t count = 0;

    if (!read_options(argc, argv, &options)) {
        fputs("limitcall: see the top of its source\n", stderr);
        return EXIT_USAGE;
    }
    size_t len = fread(input, 1, sizeof input, stdin);
    if (options.rule.name)
        return run_repair(&options, len);
    size_t request_len = read_request(input, len, &count);
    const struct command *row = request_len ? command_find(args[0].bytes, args[0].len, NULL, 0) : NULL;
    if (!row || row->cls != COMMAND_LIMIT) {
        fputs("limitcall: no request of a limiter command on stdin\n", stderr);
        return EXIT_USAGE;
    }
    if (!limit_call_parse(&call, row, args, count, &options.settings))
        return refuse();
    return options.resp ? shape(&options, input + request_len, len - request_len) : encode(&options);
}
