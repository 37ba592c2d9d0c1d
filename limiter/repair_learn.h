/*
 * What one rule of repair learns from traffic: how long a check must hold its place, and at which count its clients
 * stop by themselves.
 *
 * Hold: 8 x the 99th percentile of the pauses between check and act, within 1 s and 5 s. Shorter breaks promises,
 * longer lets those that check and do not act keep places from those that would. A busy machine stops a process for
 * hundreds of milliseconds that acts within one otherwise, hence the lower bound: what is lost by it is only kept from
 * others where many check and live on without an act (repair_askers.h, repair_watch_left_us()). An act that found no
 * reservation though its check was not refused says that it was too short: it is doubled, until so many acts found
 * theirs that it may be tried shorter.
 *
 * Maximum: where a client allows fewer than the rule, checks that it turns down itself would reserve, and the count
 * they keep up would never fall again. So, for each count that checks were told: how many were followed by an act. The
 * lowest count at which (nearly) none is, though lower ones are, is where clients stop; from there on checks reserve
 * nothing and are told the rule's maximum. Now and then one reserves all the same: if an act follows, the guess was
 * wrong and is dropped. Where a client allows more than the rule, acts follow checks that were refused; such checks are
 * then told a count that no client takes for room.
 *
 * One thread; no clock: all times are one monotonic clock's microseconds. Plain data, embedded by its owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { REPAIR_COUNTS = 256, REPAIR_GAP_BUCKETS = 64 };

#define REPAIR_REFUSED_SURELY INT64_C(1000000000)

struct repair_learn {
    int64_t rule_max;
    uint16_t asked[REPAIR_COUNTS], acted[REPAIR_COUNTS]; /* by the count that was told */
    int64_t stops_at;                                    /* 0: not known */
    int64_t probe_us;                                    /* when checks are told the truth again for a moment */
    bool goes_on;                                        /* clients act after refused checks */
    uint32_t gaps, gap[REPAIR_GAP_BUCKETS];
    int64_t floor_us; /* of the hold; 0: none */
    uint32_t in_time; /* acts since the last late one */
};

void repair_learn_init(struct repair_learn *learn, int64_t rule_max); /* 0: not known */

/* The max and the refused count of a check that is sent now. */
int64_t repair_learn_max(struct repair_learn *learn, int64_t now_us);
int64_t repair_learn_refused(const struct repair_learn *learn);

int64_t repair_learn_hold_us(const struct repair_learn *learn);
/* The 99th percentile of the pauses; 0: not known. */
int64_t repair_learn_pause_us(const struct repair_learn *learn);

/* A check that could act was told this count, and an act followed or did not. */
void repair_learn_count(struct repair_learn *learn, int64_t told, bool acted);
void repair_learn_gap(struct repair_learn *learn, int64_t gap_us);
/* An act found its reservation, or did not. */
void repair_learn_found(struct repair_learn *learn, bool found);
