/*
 * Patterns as KEYS and COMMAND LIST FILTERBY PATTERN of a Redis server understand them (Redis documentation, KEYS):
 * `*`, `?`, `[abc]`, `[^a-c]` and `\` before any of them. Without state; in time |pattern| * |text| at most.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Letters match in any case, but behind a `\` within brackets, as the server has it. */
bool glob_match(const uint8_t *pattern, size_t pattern_len, const char *text, size_t len);
