/*
 * Any bytes as an inline command's line: what is written fits its bound and is one canonical command, which the scanner
 * takes whole, byte by byte and in random pieces; written as a quoted line again it gives the same command.
 */
#include <assert.h>
#include <stdio.h>

#include "protocol/inline.h"
#include "tests/unit/scan_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct request_limits limits = {.max_args = UINT32_MAX, .max_bulk = UINT32_MAX, .authenticated = true};

/* The command as a line in which every byte is escaped. */
static size_t quote(const uint8_t *command, size_t len, uint8_t *line)
{
    struct request_args args;
    const uint8_t *arg;
    size_t arg_len, at = 0;

    request_args_start(&args, command, len);
    while (request_args_next(&args, &arg, &arg_len)) {
        line[at++] = '"';
        for (size_t i = 0; i < arg_len; i++) {
            at += (size_t)sprintf((char *)line + at, "\\x%02X", arg[i]);
        }
        line[at++] = '"';
        line[at++] = ' ';
    }
    return at;
}

static void check_command(const uint8_t *command, size_t len)
{
    struct request_scan whole, bytes, pieces;
    uint8_t *line = malloc(len * 4 + 1);

    assert(feed_request(&whole, command, len, &limits, cuts_whole(len)) == RESP_DONE && whole.pos == len);
    assert(feed_request(&bytes, command, len, &limits, cuts_each(1)) == RESP_DONE && same_request(&whole, &bytes));
    assert(feed_request(&pieces, command, len, &limits, cuts_random((uint32_t)len)) == RESP_DONE);
    assert(same_request(&whole, &pieces) && whole.argc > 0);
    assert(line);
    size_t line_len = quote(command, len, line), again_len = 0;
    uint8_t *again = malloc(inline_array_bound(line_len));
    assert(again && inline_to_array(line, line_len, again, &again_len) == INLINE_OK);
    assert(again_len == len && memcmp(again, command, len) == 0);
    free(again);
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *line = exact_copy(data, size);
    uint8_t *out = malloc(inline_array_bound(size));
    size_t len = 0;

    assert(out);
    if (inline_to_array(line, size, out, &len) == INLINE_OK) {
        assert(len <= inline_array_bound(size));
        check_command(out, len);
    }
    free(out);
    free(line);
    return 0;
}
