#include "protocol/inline.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Where the line is read and an argument is written; without `out` an argument is only measured. */
struct splitter {
    const uint8_t *p, *end;
    uint8_t *out;
    size_t len; /* of the argument so far */
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void put(struct splitter *s, uint8_t c)
{
    if (s->out) {
        s->out[s->len] = c;
    }
    s->len++;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint8_t unescape(uint8_t c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

/* Behind the backslash that stands at p, with at least one byte after it. */
static void take_escape(struct splitter *s)
{
    if (s->end - s->p >= 4 && s->p[1] == 'x' && hex_digit(s->p[2]) >= 0 && hex_digit(s->p[3]) >= 0) {
        put(s, (uint8_t)(hex_digit(s->p[2]) << 4 | hex_digit(s->p[3])));
        s->p += 4;
        return;
    }
    put(s, unescape(s->p[1]));
    s->p += 2;
}

/* From the opening quote to behind the closing one. False when there is none, or no blank or end behind it. */
static bool take_quoted(struct splitter *s)
{
    uint8_t quote = *s->p++;

    while (s->p < s->end && *s->p != quote) {
        bool escape = *s->p == '\\' && s->end - s->p >= 2;

        if (escape && quote == '"') {
            take_escape(s);
        } else if (escape && s->p[1] == '\'') {
            put(s, '\'');
            s->p += 2;
        } else {
            put(s, *s->p++);
        }
    }
    if (s->p == s->end) {
        return false;
    }
    s->p++;
    return s->p == s->end || is_blank(*s->p);
}

/* The next argument. A quote may open in the middle of one, and its closing quote ends it. */
static enum inline_status take_arg(struct splitter *s)
{
    s->len = 0;
    while (s->p < s->end && is_blank(*s->p)) {
        s->p++;
    }
    if (s->p == s->end) {
        return INLINE_EMPTY;
    }
    while (s->p < s->end) {
        switch (*s->p) {
        case '"':
        case '\'':
            return take_quoted(s) ? INLINE_OK : INLINE_UNBALANCED;
        case ' ':
        case '\t':
        case '\r':
        case '\n':
            return INLINE_OK;
        default: /* \v and \f part arguments, but do not end one: so does the server */
            put(s, *s->p++);
        }
    }
    return INLINE_OK;
}

/* An argument of k bytes takes at least k + 1 of the line (the last one k), and k + 5 and the digits of k when written.
 */
size_t inline_array_bound(size_t len)
{
    return 4 * len + 32;
}

enum inline_status inline_to_array(const uint8_t *line, size_t len, uint8_t *out, size_t *out_len)
{
    struct splitter count = {.p = line, .end = line + len};
    struct splitter measure = {.p = line, .end = line + len};
    struct splitter write = measure;
    enum inline_status status;
    size_t argc = 0;

    while ((status = take_arg(&count)) == INLINE_OK) {
        argc++;
    }
    if (status == INLINE_UNBALANCED || argc == 0) {
        return status;
    }
    char *p = (char *)out;
    p += sprintf(p, "*%zu\r\n", argc);
    while (take_arg(&measure) == INLINE_OK) {
        p += sprintf(p, "$%zu\r\n", measure.len);
        write.out = (uint8_t *)p;
        take_arg(&write);
        p += write.len;
        *p++ = '\r';
        *p++ = '\n';
    }
    *out_len = (size_t)(p - (char *)out);
    return INLINE_OK;
}
