#include "conf/text.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* There is no log beneath the configuration, and nothing to be told of a part of it. */
static void __attribute__((noreturn)) end_out_of_memory(void)
{
    fputs("out of memory while the configuration was read\n", stderr);
    _exit(EXIT_FAILURE);
}

void *text_grow(void *old, size_t size)
{
    void *grown = realloc(old, size);
    if (!grown) {
        end_out_of_memory();
    }
    return grown;
}

char *text_copy(const char *bytes, size_t len)
{
    char *copy = text_grow(NULL, len + 1);
    memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

char *text_format(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        end_out_of_memory();
    }
    return text;
}

void text_wipe(char *text)
{
    if (text) {
        explicit_bzero(text, strlen(text));
        free(text);
    }
}

/* Bytes of the well-formed sequence at `s`, 0 when there is none. */
static size_t utf8_sequence(const unsigned char *s, size_t len)
{
    static const struct {
        unsigned char first_low, first_high, second_low, second_high;
        size_t len;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (s[0] < forms[i].first_low || s[0] > forms[i].first_high) {
            continue;
        }
        if (forms[i].len > len) {
            return 0;
        }
        if (forms[i].len > 1 && (s[1] < forms[i].second_low || s[1] > forms[i].second_high)) {
            return 0;
        }
        for (size_t j = 2; j < forms[i].len; j++) {
            if ((s[j] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return forms[i].len;
    }
    return 0;
}

bool text_is_utf8(const char *bytes, size_t len)
{
    const unsigned char *s = (const unsigned char *)bytes;
    while (len > 0) {
        size_t step = utf8_sequence(s, len);
        if (step == 0) {
            return false;
        }
        s += step;
        len -= step;
    }
    return true;
}

bool text_has_control(const char *bytes, size_t len, bool tab_too)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if ((c < 0x20 || c == 0x7f) && (c != '\t' || tab_too)) {
            return true;
        }
    }
    return false;
}

bool text_digits(const char *bytes, size_t len, int base, long long *number)
{
    long long n = 0;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < '0' || bytes[i] >= '0' + base) {
            return false;
        }
        if (__builtin_mul_overflow(n, base, &n) || __builtin_add_overflow(n, bytes[i] - '0', &n)) {
            return false;
        }
    }
    *number = n;
    return len > 0;
}

static void show(const char *text, size_t shown, char out[TEXT_SHOWN_LEN])
{
    size_t len = shown < TEXT_SHOWN ? shown : TEXT_SHOWN;
    memcpy(out, text, len);
    strcpy(out + len, text[len] ? "..." : "");
}

void text_show_name(const char *text, char out[TEXT_SHOWN_LEN])
{
    show(text, strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"), out);
}

void text_show_value(const char *text, char out[TEXT_SHOWN_LEN])
{
    show(text, strlen(text), out);
    for (char *c = out; *c; c++) {
        if (*c < 0x20 || *c >= 0x7f) {
            *c = '?';
        }
    }
}

unsigned text_distance(const char *a, const char *b)
{
    enum { MOST = 64, FAR = 3 };
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > MOST || b_len > MOST || a_len > b_len + 2 || b_len > a_len + 2) {
        return FAR;
    }
    unsigned row[MOST + 1];
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            unsigned best = diagonal + (same ? 0 : 1);
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = best;
        }
    }
    return row[b_len] < FAR ? row[b_len] : FAR;
}

void text_write_json(FILE *out, const char *text)
{
    bool utf8 = text_is_utf8(text, strlen(text));
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            fprintf(out, "\\%c", *c);
        } else if (*c < 0x20 || *c == 0x7f) {
            fprintf(out, "\\u%04x", *c);
        } else if (*c > 0x7f && !utf8) {
            fputs("\\ufffd", out);
        } else {
            fputc(*c, out);
        }
    }
    fputc('"', out);
}
