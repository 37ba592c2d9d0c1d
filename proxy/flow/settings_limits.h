/*
 * Private to settings.c: what the configuration says of limits, as tables of rules, and by command which of those may
 * have to do with it. Freed with the settings.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct conf;
struct settings;

/* False without memory, or with what is wrong in `error`. */
bool settings_read_limiter(struct settings *settings, const struct conf *conf, char *error, size_t error_len);
