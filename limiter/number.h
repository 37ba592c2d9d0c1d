/*
 * Numbers of a command's arguments, each read as strictly as the server reads it that a client expects to talk to.
 * Pure functions of bytes; nothing is kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A 64-bit integer as Redis takes one: no +, no leading zero, no blank, not -0. */
bool number_read(const uint8_t *bytes, size_t len, int64_t *n);

/* A 64-bit integer as redis-cell takes one: one sign of either kind, then digits, zeros in front too. */
bool number_read_signed(const uint8_t *bytes, size_t len, int64_t *n);

/*
 * A float as Redis takes one (INCRBYFLOAT): all that strtold reads, without blanks, not NaN, below
 * NUMBER_FLOAT_TEXT_MAX bytes. What is beyond a double becomes an infinity, because the scripts compute in doubles.
 */
enum { NUMBER_FLOAT_TEXT_MAX = 512 };
bool number_read_float(const uint8_t *bytes, size_t len, long double *n);

/* As Redis prints a float: 17 digits behind the point without trailing zeros, never an exponent. */
enum { NUMBER_FLOAT_MAX = 336 };
size_t number_print_float(char text[NUMBER_FLOAT_MAX], long double n);
