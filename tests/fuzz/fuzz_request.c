/*
 * Any bytes as a pipeline of requests: each command is the same whether it comes whole, byte by byte or in random
 * pieces; a complete one is canonical, i.e. writing its arguments again gives the same bytes; what is refused is
 * refused with one whole error. The first byte chooses limits.
 */
#include <assert.h>
#include <stdio.h>

#include "protocol/reply.h"
#include "tests/unit/scan_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct request_limits limits[] = {
    {.max_args = 1024 * 1024, .max_bulk = 512 << 20, .authenticated = true},
    {.max_args = 12, .max_bulk = 32, .authenticated = true},
    {.max_args = 1024 * 1024, .max_bulk = 512 << 20, .authenticated = false},
    {.max_args = UINT32_MAX, .max_bulk = UINT64_MAX, .authenticated = true},
};

static void check_canonical(const uint8_t *command, const struct request_scan *scan)
{
    char *again = malloc(scan->pos + 1);
    struct request_args args;
    const uint8_t *arg;
    size_t len, n = 0;

    assert(again);
    int at = sprintf(again, "*%u\r\n", scan->argc);
    request_args_start(&args, command, scan->pos);
    for (; request_args_next(&args, &arg, &len); n++) {
        assert(n > 1 || (scan->arg[n].len == len && command + scan->arg[n].off == arg));
        at += sprintf(again + at, "$%zu\r\n", len);
        memcpy(again + at, arg, len);
        at += (int)len;
        memcpy(again + at, "\r\n", 2);
        at += 2;
    }
    assert(n == scan->argc && (uint64_t)at == scan->pos && memcmp(again, command, scan->pos) == 0);
    free(again);
}

/* What is answered to it is one error, whole. */
static void check_refusal(const struct request_scan *scan)
{
    uint8_t bytes[256];
    struct reply_writer w = {.bytes = bytes, .cap = sizeof(bytes)};
    struct reply_scan reply;

    reply_protocol_error(&w, scan);
    assert(!w.full && reply_starts_with(bytes, w.len, "-ERR Protocol error: "));
    assert(feed_reply(&reply, bytes, w.len, &reply_limits_default, cuts_whole(w.len)) == RESP_DONE);
    assert(reply.pos == w.len);
}

static size_t check_one(const uint8_t *p, size_t len, const struct request_limits *with)
{
    struct request_scan whole, bytes, pieces;
    enum resp_status status = feed_request(&whole, p, len, with, cuts_whole(len));

    assert(feed_request(&bytes, p, len, with, cuts_each(1)) == status && same_request(&whole, &bytes));
    assert(feed_request(&pieces, p, len, with, cuts_random((uint32_t)len * 31 + p[0])) == status);
    assert(same_request(&whole, &pieces));
    assert(whole.pos <= len && (status == RESP_ERROR) == (whole.error != REQUEST_OK));
    if (status == RESP_ERROR) {
        check_refusal(&whole);
    }
    if (status != RESP_DONE) {
        return 0;
    }
    assert(whole.pos > 0);
    if (whole.is_inline) {
        assert(p[whole.pos - 1] == '\n' && !memchr(p, '\n', whole.pos - 1));
    } else if (whole.argc > 0) {
        check_canonical(p, &whole);
    }
    return whole.pos;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    const struct request_limits *with = &limits[data[0] % 4];
    for (size_t at = 1, used = 1; at < size && used > 0; at += used) {
        used = check_one(data + at, size - at, with);
    }
    return 0;
}
