/*
 * One value: from text to number and back, after the type and range of its row in the option table. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/options.h"

enum { VALUE_WHY_LEN = 256 };

struct rate {
    int64_t count, period_ms;
};

/* False on a bad value; then `why` says what is wrong and what is allowed, and quotes nothing of a secret. */
bool value_parse(const struct option *option, const char *text, int64_t *number, char why[VALUE_WHY_LEN]);

/* A rate that value_parse() took; zeros for an empty one. */
struct rate value_rate(const char *text);

/* What the option takes: "a number from 1 to 64". */
void value_allowed(const struct option *option, char out[VALUE_WHY_LEN]);

/*
 * The value in its canonical form, which value_parse() reads back as the same one: 65536 as 64KiB, 60s as 1m. Of a URL
 * only the redacted form, of other secrets "***". The caller frees it.
 */
char *value_format(const struct option *option, const char *text, int64_t number);
