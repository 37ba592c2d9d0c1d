#include "proxy/flow/hello.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One value within the reply: where it starts and ends. */
struct span {
    const uint8_t *bytes;
    size_t len;
};

/* Walks the fields of a HELLO reply, a map in RESP3 and a flat array in RESP2. */
struct walk {
    const uint8_t *p, *end;
};

static bool next_value(struct walk *walk, struct span *value)
{
    struct reply_scan scan;

    reply_scan_reset(&scan);
    if (walk->p == walk->end ||
        reply_scan(&scan, walk->p, (size_t)(walk->end - walk->p), &reply_limits_default) != RESP_DONE)
        return false;
    *value = (struct span){walk->p, (size_t)scan.pos};
    walk->p += scan.pos;
    return true;
}

/* A name and its value; a name alone is not walked past. */
static bool next_field(struct walk *walk, struct span *name, struct span *value)
{
    const uint8_t *start = walk->p;

    if (next_value(walk, name) && next_value(walk, value))
        return true;
    walk->p = start;
    return false;
}

static bool start_walk(struct walk *walk, const uint8_t *reply, size_t len)
{
    const uint8_t *line_end = memchr(reply, '\n', len);

    if (!line_end || (reply[0] != '*' && reply[0] != '%'))
        return false;
    *walk = (struct walk){line_end + 1, reply + len};
    return true;
}

static bool is_field(const struct span *name, const char *text)
{
    char expected[32];
    int n = snprintf(expected, sizeof(expected), "$%zu\r\n%s\r\n", strlen(text), text);

    return name->len == (size_t)n && !memcmp(name->bytes, expected, name->len);
}

static void keep_version(struct hello *hello, const struct span *value)
{
    const uint8_t *text = memchr(value->bytes, '\n', value->len);
    size_t len;

    hello->version[0] = 0;
    if (!text || value->bytes[0] != '$')
        return;
    text++;
    len = (size_t)(value->bytes + value->len - text);
    if (len < 2 || len - 2 >= sizeof(hello->version))
        return;
    memcpy(hello->version, text, len - 2);
    hello->version[len - 2] = 0;
}

uint64_t hello_keep(struct hello *hello, const uint8_t *reply, size_t len)
{
    struct span name, value;
    struct walk walk;
    uint64_t id = 0;

    if (!start_walk(&walk, reply, len))
        return 0;
    hello_finish(hello);
    hello->reply = malloc(len);
    if (!hello->reply)
        return 0;
    memcpy(hello->reply, reply, len);
    hello->len = len;
    while (next_field(&walk, &name, &value)) {
        if (is_field(&name, "id") && value.bytes[0] == ':')
            id = strtoull((const char *)value.bytes + 1, NULL, 10);
        else if (is_field(&name, "version"))
            keep_version(hello, &value);
    }
    if (walk.p == walk.end)
        return id;
    hello_finish(hello); /* written again, it would lack what its head announces */
    return 0;
}

void hello_finish(struct hello *hello)
{
    free(hello->reply);
    memset(hello, 0, sizeof(*hello));
}

void hello_write(const struct hello *hello, struct reply_writer *w, uint64_t client_id)
{
    struct span name, value;
    struct walk walk;

    if (!hello->reply || !start_walk(&walk, hello->reply, hello->len))
        return;
    reply_raw(w, hello->reply, (size_t)(walk.p - hello->reply));
    while (next_field(&walk, &name, &value)) {
        reply_raw(w, name.bytes, name.len);
        if (is_field(&name, "id"))
            reply_integer(w, (int64_t)client_id);
        else
            reply_raw(w, value.bytes, value.len);
    }
}
