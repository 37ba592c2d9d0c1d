/*
 * Any bytes as a stream of replies: each is the same whether it comes whole, byte by byte or in random pieces, and as
 * long as a naive recursive reader says. The first byte chooses limits.
 */
#include <assert.h>

#include "tests/unit/scan_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct reply_limits limits[] = {
    {.max_values = UINT64_C(1) << 32, .max_bulk = UINT64_C(4) << 30, .max_line = 512U << 20},
    {.max_values = 8, .max_bulk = 16, .max_line = 16},
    {.max_values = UINT64_MAX, .max_bulk = UINT64_MAX, .max_line = UINT32_MAX},
};

/* Where the value at `at` ends, by recursion; only asked for replies that the scanner accepted. */
static size_t value_end(const uint8_t *p, size_t len, size_t at, bool nested)
{
    const uint8_t *eol = memchr(p + at, '\r', len - at);
    bool counts = strchr("$!=|%*~>", p[at]) != NULL;
    long long n = counts ? strtoll((const char *)p + at + 1, NULL, 10) : 0;

    assert(eol);
    size_t next = (size_t)(eol - p) + 2;
    if (strchr("$!=", p[at])) {
        return n < 0 ? next : next + (size_t)n + 2;
    }
    for (long long i = strchr("|%", p[at]) ? 2 * n : n; i > 0; i--) {
        next = value_end(p, len, next, true);
    }
    /* What is owed still behind an attribute, or a push within a reply. */
    return p[at] == '|' || (p[at] == '>' && nested) ? value_end(p, len, next, nested) : next;
}

static size_t check_one(const uint8_t *p, size_t len, const struct reply_limits *with)
{
    struct reply_scan whole, bytes, pieces;
    enum resp_status status = feed_reply(&whole, p, len, with, cuts_whole(len));

    assert(feed_reply(&bytes, p, len, with, cuts_each(1)) == status);
    assert(feed_reply(&pieces, p, len, with, cuts_random((uint32_t)len * 31 + p[0])) == status);
    assert(status == RESP_ERROR || (same_reply(&whole, &bytes) && same_reply(&whole, &pieces)));
    assert(whole.pos <= len);
    if (status != RESP_DONE) {
        return 0;
    }
    assert(whole.pos > 0 && whole.left == 0 && whole.skip == 0);
    assert(value_end(p, whole.pos, 0, false) == whole.pos);
    return whole.pos;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    const struct reply_limits *with = &limits[data[0] % 3];
    for (size_t at = 1, used = 1; at < size && used > 0; at += used) {
        used = check_one(data + at, size - at, with);
    }
    return 0;
}
