/*
 * Any bytes as a limiter command: what parses is encoded in the length that was announced, is a request by the proxy's
 * own scanner, keeps the bounds that the scripts rely on, and its names share the client key's slot. The first byte
 * chooses settings and how the arguments are parted, the second the command, the last arguments may be repeated.
 * Half of the inputs are a script's reply instead.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/companion.h"
#include "limiter/limit_verdict.h"
#include "protocol/command.h"
#include "protocol/reply.h"
#include "protocol/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "CL.THROTTLE", "LIM.GCRA",    "LIM.WINDOW", "LIM.SLIDE", "LIM.REFUND",  "LIM.RESET",  "LIM.MULTI", "SEM.ACQUIRE",
    "SEM.RENEW",   "SEM.RELEASE", "SEM.CHECK",  "SEM.COUNT", "SEM.HOLDERS", "SEM.REVOKE", "INCREX",    "INCREX"};

static struct limit_call call;
static struct limit_slice args[LIMIT_ARGS_MAX + 2];

/* Arguments are parted by blanks, so that a line can be read and written; then the last one again, `repeat` times. */
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
    for (size_t i = 0; i < repeat && argc < LIMIT_ARGS_MAX + 2; i++, argc++)
        args[argc] = args[argc - 1];
    return argc;
}

static void check_numbers(void)
{
    for (uint32_t i = 0; i < call.argument_count; i++) {
        const struct limit_argument *argument = &call.arguments[i];

        if (argument->is_number && call.script != SCRIPT_increx)
            assert(argument->number <= LIMIT_NEVER_US && argument->number >= -LIMIT_NEVER_US);
    }
    if (call.script == SCRIPT_cl_throttle)
        assert(call.arguments[2].number < 1000000000 && call.arguments[2].number >= 0 &&
               call.arguments[4].number < 1000000000 && call.arguments[4].number >= 0 && call.arguments[5].number >= 1);
    if (call.script == SCRIPT_lim_gcra)
        assert(call.arguments[2].number >= 1 &&
               (__int128)call.arguments[2].number * (call.arguments[1].number + call.arguments[4].number) +
                       call.arguments[5].number <=
                   LIMIT_NEVER_US);
    if (call.script == SCRIPT_lim_slide)
        assert((__int128)(call.arguments[1].number + 1) * call.arguments[2].number <= LIMIT_NEVER_US);
}

static void check_request(enum limit_dialect dialect, enum limit_form form)
{
    const struct request_limits limits = {.max_args = 16384, .max_bulk = 1 << 24, .authenticated = true};
    size_t len = limit_call_encode(&call, dialect, form, LIMIT_NEVER_US, NULL), arg_len;
    uint8_t *bytes = malloc(len);
    struct request_scan scan = {0};
    struct request_args walk;
    const uint8_t *arg;

    assert(bytes && limit_call_encode(&call, dialect, form, LIMIT_NEVER_US, bytes) == len);
    assert(request_scan(&scan, bytes, len, &limits) == RESP_DONE && scan.pos == len);
    request_args_start(&walk, bytes, len);
    long keys = -1;
    for (uint32_t i = 0; request_args_next(&walk, &arg, &arg_len); i++) {
        if (i == 2)
            keys = strtol((const char *)arg, NULL, 10);
        else if (i > 2 && i < 3 + keys && call.same_slot)
            assert(companion_slot(arg, arg_len) == call.keys[0].slot);
    }
    assert(keys >= 1 && scan.argc == 4 + (uint32_t)keys + call.argument_count);
    free(bytes);
}

static void check_command(const uint8_t *data, size_t size)
{
    const struct limit_settings settings = {
        .throttle_exact = data[0] & 2, .reservations = data[0] & 4, .ticket_ms = UINT32_MAX};
    const char *name = names[data[1] % 16];
    size_t repeat = data[0] & 8 ? (size_t)data[2] * 5 : 0;
    uint32_t argc = part(data + 3, size - 3, name, repeat);

    if (!limit_call_parse(&call, command_find((const uint8_t *)name, strlen(name), NULL, 0), args, argc, &settings)) {
        assert(call.error[0] && strlen(call.error) < sizeof call.error);
        return;
    }
    assert(!call.error[0] && call.key_count <= LIMIT_KEYS_MAX && call.argument_count <= LIMIT_ARGS_MAX);
    assert(call.wait_ms >= 0 && call.wait_ms <= LIMIT_LONGEST_MS);
    check_numbers();
    check_request(data[0] & 16 ? DIALECT_UPSTASH : DIALECT_PLAIN, data[0] & 32 ? LIMIT_EVAL : LIMIT_EVALSHA);
    if (call.fair) {
        limit_call_leave(&call);
        check_request(DIALECT_PLAIN, LIMIT_EVALSHA);
    }
}

/* A changed reply is one reply, and one of a proper form. */
static void check_reply(const uint8_t *data, size_t size)
{
    enum limit_shape shape = (enum limit_shape)(data[1] % 4);
    size_t room = limit_verdict_room(size - 3);
    struct reply_writer w = {.bytes = malloc(room), .cap = room};
    struct reply_scan scan = {0};

    assert(w.bytes);
    enum limit_outcome outcome = limit_verdict(shape, data[2] & 1 ? 3 : 2, data + 3, size - 3, &w);
    assert(!w.full && (outcome == LIMIT_CHANGED || w.len == 0));
    reply_scan_reset(&scan);
    bool whole = reply_scan(&scan, data + 3, size - 3, &reply_limits_default) == RESP_DONE && scan.pos == size - 3;
    if (whole && w.len > 0) {
        reply_scan_reset(&scan);
        assert(reply_scan(&scan, w.bytes, w.len, &reply_limits_default) != RESP_MORE);
    }
    free(w.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    if (data[0] & 1)
        check_reply(data, size);
    else
        check_command(data, size);
    return 0;
}
