/*
 * What respgate makes of a limiter command, without a proxy around it: reads one request in RESP on stdin and writes
 * what a backend would get, or the error reply that the client would get (exit code 1). With --reply a script's reply
 * follows the request on stdin, and what the client would get of it is written (exit code 3: the script is not loaded).
 *
 *   limitcall [--eval] [--upstash] [--leave] [--exact] [--reservations] [--deadline-us N] | --reply 2|3
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/limit_verdict.h"
#include "protocol/command.h"
#include "protocol/reply.h"
#include "protocol/resp.h"

enum { INPUT_MAX = 16 << 20, EXIT_USAGE = 64, EXIT_NOT_LOADED = 3 };

struct options {
    enum limit_dialect dialect;
    enum limit_form form;
    struct limit_settings settings;
    bool leave;
    unsigned resp; /* 0: no reply is expected */
    int64_t deadline_us;
};

static struct limit_call call;
static struct limit_slice args[LIMIT_ARGS_MAX + 1];
static uint8_t input[INPUT_MAX];

static void write_all(const uint8_t *bytes, size_t len)
{
    if (fwrite(bytes, 1, len, stdout) != len || fflush(stdout) != 0)
        exit(EXIT_FAILURE);
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
        else if (strcmp(argv[i], "--reservations") == 0)
            options->settings.reservations = true;
        else if (strcmp(argv[i], "--deadline-us") == 0 && i + 1 < argc)
            options->deadline_us = strtoll(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--reply") == 0 && i + 1 < argc)
            options->resp = (unsigned)strtoul(argv[++i], NULL, 10);
        else
            return false;
    }
    return true;
}

/* The request's length, or 0 when stdin did not begin with one. */
static size_t read_request(size_t len, uint32_t *argc)
{
    const struct request_limits limits = {.max_args = LIMIT_ARGS_MAX + 1, .max_bulk = INPUT_MAX, .authenticated = true};
    struct request_scan scan = {0};
    struct request_args walk;

    if (request_scan(&scan, input, len, &limits) != RESP_DONE || scan.is_inline || scan.argc == 0)
        return 0;
    request_args_start(&walk, input, scan.pos);
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

int main(int argc, char **argv)
{
    struct options options = {.deadline_us = LIMIT_NEVER_US, .settings = {.ticket_ms = 3000}};
    uint32_t count = 0;

    if (!read_options(argc, argv, &options)) {
        fputs("limitcall: see the top of its source\n", stderr);
        return EXIT_USAGE;
    }
    size_t len = fread(input, 1, sizeof input, stdin);
    size_t request_len = read_request(len, &count);
    const struct command *row = request_len ? command_find(args[0].bytes, args[0].len, NULL, 0) : NULL;
    if (!row || row->cls != COMMAND_LIMIT) {
        fputs("limitcall: no request of a limiter command on stdin\n", stderr);
        return EXIT_USAGE;
    }
    if (!limit_call_parse(&call, row, args, count, &options.settings))
        return refuse();
    return options.resp ? shape(&options, input + request_len, len - request_len) : encode(&options);
}
