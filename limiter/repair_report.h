/*
 * What was seen of a rule of repair, in words that tell what to do. Pure; any thread.
 */
#pragma once

#include <stddef.h>

#include "limiter/repair_watch.h"

enum { REPAIR_REPORT_MAX = 2048 };

/* Lines ended by \n, without a NUL; how many bytes. The first says what rule it is, the others what it found. */
size_t repair_report(char text[REPAIR_REPORT_MAX], const struct repair_rule *rule, const struct repair_stats *stats,
                     const struct repair_learn *learn);
