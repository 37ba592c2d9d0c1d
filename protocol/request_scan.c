#include <assert.h>
#include <limits.h>
#include <string.h>

#include "protocol/length.h"
#include "protocol/resp.h"

enum {
    MAX_LINE = 64 * 1024, /* bytes of a line before its end must have come */
    UNAUTH_MAX_ARGS = 10,
    UNAUTH_MAX_BULK = 16384,
};

void request_scan_reset(struct request_scan *scan)
{
    *scan = (struct request_scan){0};
}

static enum resp_status fail(struct request_scan *scan, enum request_error error)
{
    scan->error = error;
    return RESP_ERROR;
}

/*
 * A length line that is not a canonical number: waits for its end, as a server does, so that the verdict does not
 * depend on how the bytes were cut. Looks at no more bytes than a line may have.
 */
static enum resp_status judge_line(struct request_scan *scan, const uint8_t *p, size_t len, enum request_error bad,
                                   enum request_error too_long)
{
    size_t window = len < MAX_LINE + 1 ? len : MAX_LINE + 1;
    const uint8_t *cr = memchr(p, '\r', window);
    size_t text = cr ? (size_t)(cr - p) : window;

    if (memchr(p, '\n', text) || memchr(p, '\0', text)) {
        return fail(scan, REQUEST_BARE_LF);
    }
    if (!cr) {
        return len > MAX_LINE ? fail(scan, too_long) : RESP_MORE;
    }
    if (text + 1 == len) {
        return RESP_MORE;
    }
    return fail(scan, bad);
}

static enum resp_status scan_inline(struct request_scan *scan, const uint8_t *p, size_t len)
{
    size_t window = len < MAX_LINE + 1 ? len : MAX_LINE + 1;
    const uint8_t *lf = memchr(p, '\n', window);
    size_t text = lf ? (size_t)(lf - p) : window;

    scan->is_inline = 1;
    if (memchr(p, '\0', text)) {
        return fail(scan, REQUEST_BARE_LF);
    }
    if (!lf) {
        return len > MAX_LINE ? fail(scan, REQUEST_INLINE_TOO_LONG) : RESP_MORE;
    }
    scan->pos = text + 1;
    return RESP_DONE;
}

/* "*-1", as a server reads it: a command without arguments. Returns the length of its line. */
static int read_negative(const uint8_t *p, size_t len)
{
    uint64_t n = 0;
    int line = len > 2 && p[1] == '-' ? length_read_long(p + 1, len - 1, &n) : LENGTH_BAD;

    return line > 0 && n > 0 && n <= (uint64_t)INT64_MAX + 1 ? line + 1 : LENGTH_BAD;
}

/* The first line. RESP_MORE with argc > 0 means that it is read and arguments follow. */
static enum resp_status scan_count(struct request_scan *scan, const uint8_t *p, size_t len,
                                   const struct request_limits *limits)
{
    uint64_t n = 0;

    if (len == 0) {
        return RESP_MORE;
    }
    if (p[0] != '*') {
        return scan_inline(scan, p, len);
    }
    int line = length_read(p, len, &n);
    if (line == LENGTH_MORE) {
        return RESP_MORE;
    }
    if (line == LENGTH_BAD) {
        line = read_negative(p, len);
        if (line == LENGTH_BAD) {
            return judge_line(scan, p, len, REQUEST_BAD_MULTIBULK_LENGTH, REQUEST_COUNT_TOO_LONG);
        }
    }
    if (n > limits->max_args) {
        return fail(scan, REQUEST_BAD_MULTIBULK_LENGTH);
    }
    if (n > UNAUTH_MAX_ARGS && !limits->authenticated) {
        return fail(scan, REQUEST_UNAUTH_MULTIBULK);
    }
    scan->pos = (uint64_t)line;
    scan->argc = scan->args_left = (uint32_t)n;
    return n == 0 ? RESP_DONE : RESP_MORE;
}

/* A `$` line that the fast path did not take: incomplete, not canonical, or above a limit. */
static enum resp_status judge_bulk_length(struct request_scan *scan, const uint8_t *p, size_t len, int line, uint64_t n,
                                          const struct request_limits *limits)
{
    if (p[0] != '$') {
        scan->unexpected = (char)p[0];
        return fail(scan, REQUEST_EXPECTED_DOLLAR);
    }
    if (line == LENGTH_MORE) {
        return RESP_MORE;
    }
    if (line == LENGTH_BAD) {
        return judge_line(scan, p, len, REQUEST_BAD_BULK_LENGTH, REQUEST_BULK_COUNT_TOO_LONG);
    }
    return fail(scan, n > limits->max_bulk ? REQUEST_BAD_BULK_LENGTH : REQUEST_UNAUTH_BULK);
}

static uint32_t saturate(uint64_t n)
{
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* Arguments from `p` on. The state lives in registers and is written back once, wherever the bytes end. */
static enum resp_status scan_args(struct request_scan *scan, const uint8_t *p, const uint8_t *end,
                                  const struct request_limits *limits)
{
    const uint64_t max_bulk =
        limits->authenticated || limits->max_bulk < UNAUTH_MAX_BULK ? limits->max_bulk : UNAUTH_MAX_BULK;
    const uint8_t *start = p;
    const uint64_t base = scan->pos;
    uint32_t left = scan->args_left;
    enum resp_status status = RESP_DONE;

    while (left > 0) {
        uint64_t n = 0;
        if (p == end) {
            status = RESP_MORE;
            break;
        }
        int line = length_read(p, (size_t)(end - p), &n);
        if (line <= 0 || p[0] != '$' || n > max_bulk) {
            status = judge_bulk_length(scan, p, (size_t)(end - p), line, n, limits);
            break;
        }
        p += line;
        uint32_t index = scan->argc - left--;
        if (index < 2) {
            scan->arg[index] = (struct request_arg){saturate(base + (uint64_t)(p - start)), saturate(n)};
        }
        uint64_t there = (uint64_t)(end - p);
        if (there >= 2 && n <= there - 2 && memcmp(p + n, "\r\n", 2) == 0) {
            p += n + 2;
            continue;
        }
        scan->skip = n + 2;
        status = bulk_consume(&scan->skip, &p, end);
        if (status == RESP_ERROR) {
            scan->error = REQUEST_BULK_NOT_TERMINATED;
        }
        break;
    }
    scan->pos = base + (uint64_t)(p - start);
    scan->args_left = left;
    return status;
}

enum resp_status request_scan(struct request_scan *scan, const uint8_t *p, size_t len,
                              const struct request_limits *limits)
{
    const uint8_t *end = p + len;

    if (scan->argc == 0) {
        enum resp_status status = scan_count(scan, p, len, limits);
        if (status != RESP_MORE || scan->argc == 0) {
            return status;
        }
        p += scan->pos;
    } else if (scan->skip > 0) {
        const uint8_t *start = p;
        enum resp_status status = bulk_consume(&scan->skip, &p, end);
        scan->pos += (uint64_t)(p - start);
        if (status != RESP_DONE) {
            return status == RESP_ERROR ? fail(scan, REQUEST_BULK_NOT_TERMINATED) : RESP_MORE;
        }
    }
    return scan_args(scan, p, end, limits);
}

bool request_has_arg(const struct request_scan *scan, unsigned n)
{
    assert(n < 2);
    return n < scan->argc - scan->args_left && scan->arg[n].off != UINT32_MAX &&
           (uint64_t)scan->arg[n].off + scan->arg[n].len <= scan->pos;
}

const char *request_error_text(enum request_error error)
{
    switch (error) {
    case REQUEST_OK:
        break;
    case REQUEST_BAD_MULTIBULK_LENGTH:
        return "invalid multibulk length";
    case REQUEST_BAD_BULK_LENGTH:
        return "invalid bulk length";
    case REQUEST_EXPECTED_DOLLAR:
        return "expected '$', got ";
    case REQUEST_BULK_NOT_TERMINATED:
        return "bulk is not followed by CR LF";
    case REQUEST_BARE_LF:
        return "LF without CR, or NUL, in a line";
    case REQUEST_COUNT_TOO_LONG:
        return "too big mbulk count string";
    case REQUEST_BULK_COUNT_TOO_LONG:
        return "too big bulk count string";
    case REQUEST_INLINE_TOO_LONG:
        return "too big inline request";
    case REQUEST_UNAUTH_MULTIBULK:
        return "unauthenticated multibulk length";
    case REQUEST_UNAUTH_BULK:
        return "unauthenticated bulk length";
    }
    return "";
}

void request_args_start(struct request_args *args, const uint8_t *command, size_t len)
{
    uint64_t n = 0;
    int line = length_read(command, len, &n);

    *args = (struct request_args){command, command + len, 0};
    if (line > 0) {
        args->p += line;
        args->left = (uint32_t)n;
    }
}

bool request_args_next(struct request_args *args, const uint8_t **arg, size_t *len)
{
    uint64_t n = 0;

    if (args->left == 0) {
        return false;
    }
    int line = length_read(args->p, (size_t)(args->end - args->p), &n);
    assert(line > 0 && n + 2 <= (uint64_t)(args->end - args->p) - (uint64_t)line);
    *arg = args->p + line;
    *len = n;
    args->p += line + n + 2;
    args->left--;
    return true;
}
