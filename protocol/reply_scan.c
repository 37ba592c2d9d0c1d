#include <string.h>

#include "protocol/length.h"
#include "protocol/resp.h"

/*
 * A server sends an aggregate of 2^32 - 1 values at most and a bulk of 512 MiB by default, but both can be raised and a
 * module may do as it likes. A script may return an error or a status as long as any string; it must not bring down the
 * connection that others share, hence the generous line.
 */
const struct reply_limits reply_limits_default = {
    .max_values = UINT64_C(1) << 32,
    .max_bulk = UINT64_C(4) << 30,
    .max_line = 512U << 20,
};

/*
 * An incomplete simple line longer than this is consumed as it comes, so that neither a buffer nor the search for its
 * end grows with it. Shorter ones stay whole: their reader may want to see the error code. While such a line lasts,
 * `skip` is IN_LINE plus the bytes consumed of it.
 */
enum { LINE_KEPT = 4096 };
static const uint64_t IN_LINE = UINT64_C(1) << 63;

void reply_scan_reset(struct reply_scan *scan)
{
    *scan = (struct reply_scan){0};
}

/* Looks for the CR LF behind a simple line; *text is what stands before it. A CR or LF alone is an error. */
static enum resp_status find_line_end(const uint8_t *p, size_t len, size_t *text)
{
    size_t near = len < 32 ? len : 32, i = 0;

    while (i < near && p[i] > '\r') { /* most lines are short: not worth a call */
        i++;
    }
    if (i + 1 < near && p[i] == '\r' && p[i + 1] == '\n') {
        *text = i;
        return RESP_DONE;
    }
    const uint8_t *cr = memchr(p, '\r', len);
    *text = cr ? (size_t)(cr - p) : len;
    if (memchr(p, '\n', *text)) {
        return RESP_ERROR;
    }
    if (!cr || *text + 1 >= len) {
        return RESP_MORE;
    }
    return cr[1] == '\n' ? RESP_DONE : RESP_ERROR;
}

/* Consumes a simple line, or what has come of a long one (then scan->skip is set), or nothing. */
static enum resp_status line_consume(struct reply_scan *scan, const uint8_t **p, const uint8_t *end,
                                     const struct reply_limits *limits)
{
    uint64_t seen = scan->skip & ~IN_LINE;
    size_t text = 0;
    enum resp_status status = find_line_end(*p, (size_t)(end - *p), &text);

    if (status == RESP_ERROR || seen + text > limits->max_line) {
        return RESP_ERROR;
    }
    if (status == RESP_DONE) {
        *p += text + 2;
        scan->skip = 0;
    } else if (seen + text > LINE_KEPT) {
        *p += text;
        scan->skip = IN_LINE | (seen + text);
    }
    return status;
}

/* An integer: optional sign, digits. */
static int read_integer(const uint8_t *p, size_t len)
{
    size_t i = len > 1 && (p[1] == '-' || p[1] == '+') ? 2 : 1;
    size_t first = i;

    while (i < len && (uint8_t)(p[i] - '0') <= 9) {
        i++;
    }
    if (i - first > 20) {
        return LENGTH_BAD;
    }
    if (i == len) {
        return LENGTH_MORE;
    }
    if (i == first || p[i] != '\r') {
        return LENGTH_BAD;
    }
    if (i + 1 == len) {
        return LENGTH_MORE;
    }
    return p[i + 1] == '\n' ? (int)(i + 2) : LENGTH_BAD;
}

/* A line that can only be `text`. */
static int read_fixed(const uint8_t *p, size_t len, const char *text, size_t text_len)
{
    if (memcmp(p, text, len < text_len ? len : text_len) != 0) {
        return LENGTH_BAD;
    }
    return len < text_len ? LENGTH_MORE : (int)text_len;
}

/* The length behind `$` or `*`; a null is *null, of length 0. */
static int read_length_or_null(const uint8_t *p, size_t len, uint64_t *n, bool *null)
{
    if (len < 2 || p[1] != '-') {
        return length_read(p, len, n);
    }
    int line = read_fixed(p + 1, len - 1, "-1\r\n", 4);
    *null = true;
    return line > 0 ? line + 1 : line;
}

/* What is owed behind an aggregate's header: `each` values n times more. False when that is above the limit. */
static bool owe(uint64_t *left, uint64_t n, unsigned each, const struct reply_limits *limits)
{
    if (*left > limits->max_values || n > (limits->max_values - *left) / each) {
        return false;
    }
    *left += n * each;
    return true;
}

static bool bulk_allowed(uint64_t n, const struct reply_limits *limits)
{
    return n <= limits->max_bulk && n < IN_LINE - 2;
}

/*
 * The line of a value that is not a simple line. *left, what is owed behind the value, grows by its elements; *skip is
 * what must be passed over of a bulk. Returns the line's length, LENGTH_MORE or LENGTH_BAD.
 */
static inline int read_header(const uint8_t *p, size_t len, bool nested, uint64_t *left, uint64_t *skip,
                              const struct reply_limits *limits)
{
    uint64_t n = 0;
    bool null = false;
    unsigned each = 1;
    int line = LENGTH_BAD;

    switch (p[0]) {
    case ':':
        return read_integer(p, len);
    case '_':
        return read_fixed(p, len, "_\r\n", 3);
    case '#':
        return len > 1 && p[1] == 'f' ? read_fixed(p, len, "#f\r\n", 4) : read_fixed(p, len, "#t\r\n", 4);
    case '$':
        line = read_length_or_null(p, len, &n, &null);
        *skip = null ? 0 : n + 2;
        return line > 0 && !bulk_allowed(n, limits) ? LENGTH_BAD : line;
    case '!':
    case '=':
        line = length_read(p, len, &n);
        *skip = n + 2;
        return line > 0 && !bulk_allowed(n, limits) ? LENGTH_BAD : line;
    case '*':
        line = read_length_or_null(p, len, &n, &null);
        break;
    case '|': /* counts as no element: what it precedes is owed still */
        ++*left;
        each = 2;
        line = length_read(p, len, &n);
        break;
    case '%':
        each = 2;
        line = length_read(p, len, &n);
        break;
    case '>': /* within a reply it counts as no element either: EXEC with a PUBLISH to oneself */
        *left += nested;
        line = length_read(p, len, &n);
        break;
    case '~':
        line = length_read(p, len, &n);
        break;
    }
    return line > 0 && !owe(left, n, each, limits) ? LENGTH_BAD : line;
}

/* Consumes one value or its header. RESP_MORE without progress leaves the scan as it was. */
static inline enum resp_status scan_value(struct reply_scan *scan, const uint8_t **p, const uint8_t *end,
                                          const struct reply_limits *limits)
{
    uint8_t type = **p;
    uint64_t left = scan->left - 1, skip = 0;
    enum resp_status status = RESP_DONE;

    if (type == '+' || type == '-' || type == ',' || type == '(') {
        status = line_consume(scan, p, end, limits);
        if (status != RESP_DONE && scan->skip == 0) {
            return status;
        }
    } else {
        int line = read_header(*p, (size_t)(end - *p), scan->type != 0 || scan->left > 1, &left, &skip, limits);
        if (line <= 0) {
            return line == LENGTH_MORE ? RESP_MORE : RESP_ERROR;
        }
        *p += line;
        scan->skip = skip;
    }
    if (scan->type == 0 && scan->left == 1 && type != '|') {
        scan->type = type;
    }
    scan->left = left;
    return skip > 0 ? bulk_consume(&scan->skip, p, end) : status;
}

enum resp_status reply_scan(struct reply_scan *scan, const uint8_t *p, size_t len, const struct reply_limits *limits)
{
    const uint8_t *start = p, *end = p + len;
    enum resp_status status = RESP_DONE;

    if (!scan->started) {
        scan->started = true;
        scan->left = 1;
    }
    if (scan->skip & IN_LINE) {
        status = line_consume(scan, &p, end, limits);
    } else if (scan->skip > 0) {
        status = bulk_consume(&scan->skip, &p, end);
    }
    while (status == RESP_DONE && scan->left > 0) {
        status = p == end ? RESP_MORE : scan_value(scan, &p, end, limits);
    }
    scan->pos += (uint64_t)(p - start);
    return status;
}

bool reply_starts_with(const uint8_t *bytes, size_t len, const char *start)
{
    size_t start_len = strlen(start);

    return len >= start_len && memcmp(bytes, start, start_len) == 0;
}

bool reply_is_unknown_command(const uint8_t *bytes, size_t len)
{
    return reply_starts_with(bytes, len, "-ERR unknown command") ||
           reply_starts_with(bytes, len, "-ERR Command is not available");
}
