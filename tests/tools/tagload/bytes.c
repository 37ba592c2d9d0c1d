#include "tagload/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text text_of(const char *s)
{
    return (struct text){s, strlen(s)};
}

void bytes_free(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}

size_t bytes_len(const struct bytes *b)
{
    return b->end - b->start;
}

const uint8_t *bytes_front(const struct bytes *b)
{
    return b->data + b->start;
}

static void compact(struct bytes *b, size_t keep)
{
    size_t from = b->start > keep ? b->start - keep : 0;

    if (from == 0)
        return;
    memmove(b->data, b->data + from, b->end - from);
    b->start -= from;
    b->end -= from;
}

uint8_t *bytes_room(struct bytes *b, size_t len, size_t keep)
{
    if (b->end + len <= b->cap)
        return b->data + b->end;
    compact(b, keep);
    if (b->end + len > b->cap) {
        size_t cap = b->cap ? b->cap : 64;

        while (cap < b->end + len)
            cap *= 2;
        b->data = realloc(b->data, cap);
        if (!b->data)
            abort();
        b->cap = cap;
    }
    return b->data + b->end;
}

void bytes_add(struct bytes *b, const void *p, size_t len)
{
    if (len == 0)
        return;
    memcpy(bytes_room(b, len, 0), p, len);
    b->end += len;
}

void bytes_addf(struct bytes *b, const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(line))
        abort();
    bytes_add(b, line, (size_t)len);
}

void bytes_bulk(struct bytes *b, struct text value)
{
    bytes_addf(b, "$%zu\r\n", value.len);
    bytes_add(b, value.p, value.len);
    bytes_add(b, "\r\n", 2);
}
