/*
 * What people read: the first wrong reply with its neighbourhood on stderr, and the verdict as one line of JSON.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct client;
struct load;

void report_wrong(const struct client *c, const char *what, const uint8_t *reply, size_t len);
void report_missing(const struct client *c, const char *what);
void report_verdict(const struct load *load, double seconds, FILE *out);
