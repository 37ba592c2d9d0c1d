#include "limiter/limit_verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/reply.h"

/* One element of a flat array: an integer or a bulk string. */
struct element {
    char type;
    const uint8_t *text;
    size_t len;
};

/* The line behind *at's type byte; *at moves behind it. */
static bool read_line(const uint8_t **at, const uint8_t *end, struct element *element)
{
    const uint8_t *cr = *at < end ? memchr(*at, '\r', (size_t)(end - *at)) : NULL;

    if (!cr || cr + 1 >= end || cr[1] != '\n')
        return false;
    *element = (struct element){(char)**at, *at + 1, (size_t)(cr - *at - 1)};
    *at = cr + 2;
    return true;
}

static bool read_element(const uint8_t **at, const uint8_t *end, struct element *element)
{
    int64_t len;

    if (!read_line(at, end, element))
        return false;
    if (element->type == ':')
        return true;
    if (element->type != '$' || !number_read(element->text, element->len, &len) || len < 0 || end - *at < 2 ||
        len > end - *at - 2)
        return false;
    element->text = *at;
    element->len = (size_t)len;
    *at += len + 2;
    return true;
}

/* [new value, applied increment], the whole reply. */
static bool read_pair(const uint8_t *reply, size_t len, struct element pair[2])
{
    const uint8_t *at = reply, *end = reply + len;
    struct element header;

    return read_line(&at, end, &header) && header.type == '*' && header.len == 1 && header.text[0] == '2' &&
           read_element(&at, end, &pair[0]) && read_element(&at, end, &pair[1]) && at == end;
}

size_t limit_told(const uint8_t *reply, size_t len, int64_t told[2])
{
    const uint8_t *at = reply, *end = reply + len;
    struct element element;

    if (!reply_starts_with(reply, len, "*3\r\n") || !read_line(&at, end, &element))
        return 0;
    for (int i = 0; i < 2; i++) {
        if (!read_line(&at, end, &element) || element.type != ':' || !number_read(element.text, element.len, &told[i]))
            return 0;
    }
    return at < end ? (size_t)(at - reply) : 0;
}

static void put_line(struct reply_writer *w, char type, const void *text, size_t len)
{
    reply_raw(w, &type, 1);
    reply_raw(w, text, len);
    reply_raw(w, "\r\n", 2);
}

static enum limit_outcome third(const uint8_t *reply, size_t len, struct reply_writer *w)
{
    int64_t told[2];
    size_t from = limit_told(reply, len, told);

    if (from == 0)
        return LIMIT_PASS;
    reply_raw(w, reply + from, len - from);
    return LIMIT_CHANGED;
}

static enum limit_outcome integers(const struct element pair[2], struct reply_writer *w)
{
    int64_t n;

    if (pair[0].type == ':' && pair[1].type == ':')
        return LIMIT_PASS;
    if (!number_read(pair[0].text, pair[0].len, &n) || !number_read(pair[1].text, pair[1].len, &n))
        return LIMIT_PASS;
    reply_array(w, 2);
    for (int i = 0; i < 2; i++)
        put_line(w, ':', pair[i].text, pair[i].len);
    return LIMIT_CHANGED;
}

/* Whether a client's parser takes the text for a double as it is. A stored value may be hexadecimal. */
static bool is_decimal(const struct element *element)
{
    for (size_t i = 0; i < element->len; i++) {
        if (!memchr("0123456789+-.eE", element->text[i], 15))
            return false;
    }
    return true;
}

static void put_double(struct reply_writer *w, const struct element *element, long double n)
{
    char text[NUMBER_FLOAT_MAX];

    if (is_decimal(element))
        put_line(w, ',', element->text, element->len);
    else
        put_line(w, ',', text, number_print_float(text, n));
}

static enum limit_outcome floats(const struct element pair[2], unsigned resp, struct reply_writer *w)
{
    long double value, applied;

    if (resp < 3 || !number_read_float(pair[0].text, pair[0].len, &value) ||
        !number_read_float(pair[1].text, pair[1].len, &applied))
        return LIMIT_PASS;
    reply_array(w, 2);
    put_double(w, &pair[0], value);
    put_double(w, &pair[1], applied);
    return LIMIT_CHANGED;
}

enum limit_outcome limit_verdict(enum limit_shape shape, unsigned resp, const uint8_t *reply, size_t len,
                                 struct reply_writer *w)
{
    struct element pair[2];

    if (reply_starts_with(reply, len, "-RGUNAVAIL "))
        return LIMIT_TOO_LATE;
    if (reply_starts_with(reply, len, "-NOSCRIPT "))
        return LIMIT_NOT_LOADED;
    if (shape == LIMIT_TOLD)
        return third(reply, len, w);
    if (shape == LIMIT_AS_IT_IS || !read_pair(reply, len, pair))
        return LIMIT_PASS;
    return shape == LIMIT_INCREX_FLOATS ? floats(pair, resp, w) : integers(pair, w);
}
