/*
 * Small questions about text, shared by the files of conf/. Pure functions over memory of the caller; any thread.
 * text_copy() and text_format() return memory the caller frees and end the process when there is none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TEXT_SHOWN = 40 };     /* most bytes of foreign text shown in a message */
enum { TEXT_SHOWN_LEN = 44 }; /* room for those, "..." and the NUL */

char *text_copy(const char *bytes, size_t len);
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *text_grow(void *old, size_t size); /* realloc that does not fail */
void text_wipe(char *text);              /* zero, then free; NULL is fine */

bool text_is_utf8(const char *bytes, size_t len); /* after RFC 3629: no overlong forms, no surrogates */
bool text_has_control(const char *bytes, size_t len, bool tab_too);
bool text_digits(const char *bytes, size_t len, int base,
                 long long *number); /* only digits, at least one, no overflow */

/*
 * The part of `text` that may be shown: for names, up to the first byte that is not of [A-Za-z0-9_.-], because what
 * follows in a damaged line may be a piece of a secret; for values, with unprintable bytes as '?'. Cut at TEXT_SHOWN.
 */
void text_show_name(const char *text, char out[TEXT_SHOWN_LEN]);
void text_show_value(const char *text, char out[TEXT_SHOWN_LEN]);

/* Edit distance, letter case ignored; anything above 2 is reported as 3. */
unsigned text_distance(const char *a, const char *b);

/* A JSON string. Foreign text may be in any encoding, JSON is UTF-8: what is not becomes U+FFFD. */
void text_write_json(FILE *out, const char *text);
