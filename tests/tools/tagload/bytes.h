/*
 * A growing byte queue: bytes are added at the end and taken from the front. `keep` bytes in front of the unread part
 * survive a compaction, so that a report can show what came just before.
 * Owner: whoever embeds it; bytes_free() ends it. Out of memory ends the program: this is a test tool.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint8_t *data;
    size_t start; /* first unread byte */
    size_t end;   /* behind the last byte */
    size_t cap;
};

/* Read-only bytes that belong to somebody else. */
struct text {
    const char *p;
    size_t len;
};

struct text text_of(const char *s);

void bytes_free(struct bytes *b);
size_t bytes_len(const struct bytes *b);
const uint8_t *bytes_front(const struct bytes *b);
uint8_t *bytes_room(struct bytes *b, size_t len, size_t keep); /* room for len more bytes; adding them is b->end += n */
void bytes_add(struct bytes *b, const void *p, size_t len);
void bytes_addf(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bytes_bulk(struct bytes *b, struct text value); /* $len, value, CR LF */
