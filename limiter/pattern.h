/*
 * Patterns of keys, as KEYS and SCAN take them: * any bytes, ? one byte, [abc] [a-z] [^a] one of a set, \ takes the
 * next byte for itself. Pure functions of bytes; no allocation, and time that grows with the lengths only, as keys are
 * the clients' choice. Rule: Redis docs of KEYS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether all of the key is what the pattern says. */
bool pattern_matches(const char *pattern, size_t pattern_len, const uint8_t *key, size_t key_len);

/* How many bytes at the start stand for themselves: a key that begins otherwise does not match. */
size_t pattern_literal(const char *pattern, size_t len);
