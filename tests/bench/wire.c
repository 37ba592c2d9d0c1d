#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NUMBER_LEN = 7,
    TAG_LEN = 1 + NUMBER_LEN + 1,
    KEY_BULK_LEN = 4 + 1 + NUMBER_LEN + 2,
    FILE_REQUESTS_MAX = 100000
};

static void put_number(char *out, uint32_t number)
{
    for (int i = NUMBER_LEN - 1; i >= 0; i--, number /= 10)
        out[i] = (char)('0' + number % 10);
}

static char *put(char *out, const void *bytes, size_t len)
{
    memcpy(out, bytes, len);
    return out + len;
}

static char *put_text(char *out, const char *text)
{
    return put(out, text, strlen(text));
}

static char *put_key(char *out, uint32_t key)
{
    memcpy(out, "$8\r\nk", 5);
    put_number(out + 5, key);
    memcpy(out + 5 + NUMBER_LEN, "\r\n", 2);
    return out + KEY_BULK_LEN;
}

static void make_tag(char tag[TAG_LEN], uint32_t key)
{
    tag[0] = 'v';
    put_number(tag + 1, key);
    tag[TAG_LEN - 1] = ':';
}

void wire_init(struct wire *wire, enum workload workload, uint32_t keys, size_t value_len)
{
    memset(wire, 0, sizeof(*wire));
    wire->workload = workload;
    wire->keys = keys;
    wire->value_len = value_len;
    wire->bulk_header_len = (size_t)snprintf(wire->bulk_header, sizeof(wire->bulk_header), "$%zu\r\n", value_len);
    wire->value_tail_len = value_len - TAG_LEN + 2;
    wire->value_tail = malloc(wire->value_tail_len);
    if (!wire->value_tail)
        abort();
    memset(wire->value_tail, 'x', wire->value_tail_len);
    memcpy(wire->value_tail + wire->value_tail_len - 2, "\r\n", 2);
}

/* --- requests of a file --- */

static bool read_file(struct wire *wire, const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");

    if (!file)
        return false;
    fseek(file, 0, SEEK_END);
    *len = (size_t)ftell(file);
    rewind(file);
    wire->file = malloc(*len + 1);
    if (!wire->file)
        abort();
    bool whole = fread(wire->file, 1, *len, file) == *len;
    wire->file[*len] = 0;
    fclose(file);
    return whole;
}

/* The end of the request at `at`: an array of bulk strings. NULL when it is none. */
static char *request_end(char *at)
{
    unsigned long n = *at == '*' ? strtoul(at + 1, &at, 10) : 0;

    if (!n)
        return NULL;
    at += 2;
    for (; n; n--) {
        if (*at != '$')
            return NULL;
        size_t len = strtoul(at + 1, &at, 10);
        at += 2 + len + 2;
    }
    return at;
}

static bool index_file(struct wire *wire, size_t len)
{
    char *at = wire->file;
    uint32_t n = 0;

    wire->file_at = calloc(FILE_REQUESTS_MAX + 1, sizeof(*wire->file_at));
    if (!wire->file_at)
        abort();
    while (at < wire->file + len && n < FILE_REQUESTS_MAX) {
        char *end = request_end(at);
        if (!end || end > wire->file + len)
            return false;
        if ((size_t)(end - at) > wire->file_most)
            wire->file_most = (size_t)(end - at);
        at = end;
        wire->file_at[++n] = (size_t)(at - wire->file);
    }
    wire->keys = n;
    return n;
}

bool wire_use_file(struct wire *wire, const char *path, const char *start)
{
    size_t len, at = 0;

    for (; *start && at < sizeof(wire->start) - 3; start++) {
        if (*start == ' ')
            at += (size_t)sprintf(wire->start + at, "\r\n");
        else
            wire->start[at++] = *start;
    }
    bool array = *wire->start == '*';
    if (array)
        memcpy(wire->start + at, "\r\n", 3);
    wire->lines = array ? 1 + (unsigned)strtoul(wire->start + 1, NULL, 10) : 1;
    return (array || *wire->start == ':') && read_file(wire, path, &len) && index_file(wire, len);
}

static char *ask_file(const struct wire *wire, struct ask ask, char *out)
{
    size_t at = wire->file_at[ask.key];

    return put(out, wire->file + at, wire->file_at[ask.key + 1] - at);
}

/* `pos` counts bytes and `value` lines of the reply. */
static enum heard hear_lines(const struct wire *wire, struct hearing *hearing, const char *bytes, size_t len,
                             size_t *used)
{
    size_t start_len = strlen(wire->start);

    for (; *used < len; (*used)++, hearing->pos++) {
        if (hearing->pos < start_len && bytes[*used] != wire->start[hearing->pos])
            return HEARD_WRONG;
        if (bytes[*used] == '\n' && ++hearing->value == wire->lines) {
            (*used)++;
            return HEARD_REPLY;
        }
    }
    return HEARD_MORE;
}

void wire_finish(struct wire *wire)
{
    free(wire->file);
    free(wire->file_at);
    free(wire->value_tail);
}

size_t wire_ask_max(const struct wire *wire)
{
    size_t inline_len = wire->value_len > INLINE_VALUE_MAX ? 0 : wire->value_len;
    return wire->file_most + 128 + MGET_KEYS * KEY_BULK_LEN + inline_len;
}

struct ask wire_choose(const struct wire *wire, uint64_t sequence, uint32_t random)
{
    bool alternates = wire->workload == WORK_GETSET || wire->workload == WORK_BIG;
    return (struct ask){
        .key = random % wire->keys,
        .write = wire->workload == WORK_SET || (alternates && sequence % 2),
    };
}

bool wire_has_tail(const struct wire *wire, struct ask ask)
{
    return ask.write && wire->value_len > INLINE_VALUE_MAX;
}

static char *ask_set(const struct wire *wire, struct ask ask, char *out)
{
    out = put_text(out, "*3\r\n$3\r\nSET\r\n");
    out = put_key(out, ask.key);
    out = put(out, wire->bulk_header, wire->bulk_header_len);
    make_tag(out, ask.key);
    out += TAG_LEN;
    return wire_has_tail(wire, ask) ? out : put(out, wire->value_tail, wire->value_tail_len);
}

static char *ask_mget(const struct wire *wire, struct ask ask, char *out)
{
    out = put_text(out, "*11\r\n$4\r\nMGET\r\n");
    for (uint32_t i = 0; i < MGET_KEYS; i++)
        out = put_key(out, (ask.key + i) % wire->keys);
    return out;
}

static char *ask_evalsha(const struct wire *wire, struct ask ask, char *out)
{
    out = put_text(out, "*4\r\n$7\r\nEVALSHA\r\n$40\r\n");
    out = put(out, wire->sha, SHA_LEN);
    out = put_text(out, "\r\n$1\r\n1\r\n");
    return put_key(out, ask.key);
}

size_t wire_ask(const struct wire *wire, struct ask ask, char *out)
{
    char *end;
    if (ask.write)
        end = ask_set(wire, ask, out);
    else if (wire->workload == WORK_FILE)
        end = ask_file(wire, ask, out);
    else if (wire->workload == WORK_MGET10)
        end = ask_mget(wire, ask, out);
    else if (wire->workload == WORK_EVALSHA)
        end = ask_evalsha(wire, ask, out);
    else
        end = put_key(put_text(out, "*2\r\n$3\r\nGET\r\n"), ask.key);
    return (size_t)(end - out);
}

/* One value of a reply as it must come: `start` literally, then `skip` bytes of any content, then CRLF if skipped. */
struct expected {
    char start[32];
    size_t start_len;
    size_t skip;
};

static void expect_text(struct expected *expected, const char *text)
{
    expected->start_len = strlen(text);
    expected->skip = 0;
    memcpy(expected->start, text, expected->start_len);
}

static void expect_value(const struct wire *wire, uint32_t key, struct expected *expected)
{
    memcpy(expected->start, wire->bulk_header, wire->bulk_header_len);
    make_tag(expected->start + wire->bulk_header_len, key);
    expected->start_len = wire->bulk_header_len + TAG_LEN;
    expected->skip = wire->value_len - TAG_LEN;
}

static void expect(const struct wire *wire, struct ask ask, unsigned value, struct expected *expected)
{
    if (ask.write)
        expect_text(expected, "+OK\r\n");
    else if (wire->workload != WORK_MGET10)
        expect_value(wire, ask.key, expected);
    else if (value == 0)
        expect_text(expected, "*10\r\n");
    else
        expect_value(wire, (ask.key + value - 1) % wire->keys, expected);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Compares what arrived with `text`, whose byte 0 stands at `text_pos` of the value. */
static bool matches(struct hearing *hearing, const char *text, size_t text_pos, size_t text_len, const char *bytes,
                    size_t len, size_t *used)
{
    size_t offset = hearing->pos - text_pos;
    size_t part = min_size(text_len - offset, len - *used);
    bool same = memcmp(text + offset, bytes + *used, part) == 0;
    hearing->pos += part;
    *used += part;
    return same;
}

static enum heard hear_value(const struct expected *expected, struct hearing *hearing, const char *bytes, size_t len,
                             size_t *used)
{
    size_t skip_end = expected->start_len + expected->skip;
    size_t value_end = skip_end + (expected->skip ? 2 : 0);

    if (hearing->pos < expected->start_len &&
        !matches(hearing, expected->start, 0, expected->start_len, bytes, len, used))
        return HEARD_WRONG;
    if (hearing->pos >= expected->start_len && hearing->pos < skip_end) {
        size_t part = min_size(skip_end - hearing->pos, len - *used);
        hearing->pos += part;
        *used += part;
    }
    if (hearing->pos >= skip_end && hearing->pos < value_end &&
        !matches(hearing, "\r\n", skip_end, 2, bytes, len, used))
        return HEARD_WRONG;
    return hearing->pos == value_end ? HEARD_REPLY : HEARD_MORE;
}

static enum heard hear_error_reply(const char *bytes, size_t len, size_t *used)
{
    const char *newline = memchr(bytes + *used, '\n', len - *used);
    *used = newline ? (size_t)(newline - bytes) + 1 : len;
    return newline ? HEARD_ERROR_REPLY : HEARD_MORE;
}

enum heard wire_hear(const struct wire *wire, struct ask ask, struct hearing *hearing, const char *bytes, size_t len,
                     size_t *used)
{
    unsigned values = wire->workload == WORK_MGET10 ? 1 + MGET_KEYS : 1;
    *used = 0;

    if (len > 0 && hearing->pos == 0 && hearing->value == 0 && bytes[0] == '-')
        hearing->error_reply = true;
    if (hearing->error_reply)
        return hear_error_reply(bytes, len, used);
    if (wire->workload == WORK_FILE)
        return hear_lines(wire, hearing, bytes, len, used);

    while (hearing->value < values) {
        struct expected expected;
        expect(wire, ask, hearing->value, &expected);
        enum heard heard = hear_value(&expected, hearing, bytes, len, used);
        if (heard != HEARD_REPLY)
            return heard;
        hearing->value++;
        hearing->pos = 0;
    }
    return HEARD_REPLY;
}
