#include "limiter/repair_report.h"

#include <inttypes.h>
#include <stdio.h>

/* Clocks that differ by less are as good as right. */
#define CLOCKS_DIFFER_US INT64_C(1000000)

struct report {
    char *text;
    size_t len;
};

/* One line; what does not fit is cut, and stays a line. */
#define SAY(report, ...) end_line(report, snprintf((report)->text + (report)->len, room(report), __VA_ARGS__))

static size_t room(const struct report *report)
{
    return REPAIR_REPORT_MAX - report->len;
}

static void end_line(struct report *report, int len)
{
    size_t most = room(report);

    if (most == 0)
        return;
    report->len += len < 0 ? 0 : (size_t)len < most ? (size_t)len : most - 1;
    report->text[report->len++] = '\n';
}

static const char *kind_name(enum repair_kind kind)
{
    switch (kind) {
    case REPAIR_ZSET:
        return "zset";
    case REPAIR_SET:
        return "set";
    case REPAIR_LIST:
        return "list";
    case REPAIR_COUNTER:
        return "counter";
    default:
        return "incr";
    }
}

static void say_race(struct report *report, const struct repair_rule *rule, const struct repair_stats *stats)
{
    if (stats->overlaps == 0)
        return;
    if (rule->mode == REPAIR_ENFORCE)
        SAY(report, "%" PRIu64 " acts came after another's that their check did not know of; each had its place",
            stats->overlaps);
    else
        SAY(report,
            "the race happens: %" PRIu64 " acts came after another's that their check did not know of; set mode = "
            "enforce",
            stats->overlaps);
}

static void say_maximum(struct report *report, const struct repair_rule *rule, const struct repair_stats *stats,
                        const struct repair_learn *learn)
{
    if (learn->goes_on)
        SAY(report,
            "clients act though the count is at max = %" PRId64 ": their own maximum is higher, raise max to it or "
            "lower theirs",
            rule->max);
    else if (learn->stops_at && rule->max && learn->stops_at != rule->max)
        SAY(report, "clients stop at %" PRId64 " by themselves, not at max = %" PRId64 ": make them the same",
            learn->stops_at, rule->max);
    else if (learn->stops_at)
        SAY(report, "clients stop at %" PRId64 " by themselves", learn->stops_at);
    if (stats->above > 0)
        SAY(report, "%" PRIu64 " checks found more than that, at most %" PRId64, stats->above, stats->most);
}

static void say_acts(struct report *report, const struct repair_stats *stats, const struct repair_learn *learn)
{
    int64_t pause_us = repair_learn_pause_us(learn);

    if (pause_us > 0)
        SAY(report, "99 in 100 acts follow their check within %" PRId64 " ms; a place is held for %" PRId64 " ms",
            (pause_us + 999) / 1000, repair_learn_hold_us(learn) / 1000);
    if (stats->unasked > 0)
        SAY(report, "%" PRIu64 " acts came without any check: such a client can take places beyond the limit",
            stats->unasked);
    if (stats->late > 0)
        SAY(report, "%" PRIu64 " acts had no place any more", stats->late);
}

static void say_clocks(struct report *report, const char *what, const struct repair_clocks *clocks)
{
    int64_t ms = repair_clocks_spread_us(clocks) / 1000;

    if (ms * 1000 >= CLOCKS_DIFFER_US)
        SAY(report,
            "%s differ by up to %" PRId64 ".%" PRId64 " s: clients with other clocks, or other leases, remove what "
            "others still hold",
            what, ms / 1000, ms % 1000 / 100);
}

size_t repair_report(char text[REPAIR_REPORT_MAX], const struct repair_rule *rule, const struct repair_stats *stats,
                     const struct repair_learn *learn)
{
    struct report report = {.text = text};
    bool observes = rule->mode == REPAIR_OBSERVE;

    SAY(&report, "%s: kind %s, key:%s, %s, %" PRIu64 " checks, %" PRIu64 " acts", rule->name, kind_name(rule->kind),
        rule->pattern, observes ? "observed only" : "enforced", stats->checks, stats->acts);
    say_race(&report, rule, stats);
    say_maximum(&report, rule, stats, learn);
    say_acts(&report, stats, learn);
    say_clocks(&report, "times in ZREMRANGEBYSCORE", &stats->cutoffs);
    say_clocks(&report, "times in ZADD", &stats->scores);
    if (stats->endless > 0)
        SAY(&report,
            "%" PRIu64 " of %" PRIu64 " new counters had no expiry a second later and may never end; set mode = "
            "enforce and a ttl",
            stats->endless, stats->born);
    return report.len;
}

static void add_clocks(struct repair_clocks *sum, const struct repair_clocks *more)
{
    if (more->seen == 0)
        return;
    sum->least_us = sum->seen && sum->least_us < more->least_us ? sum->least_us : more->least_us;
    sum->most_us = sum->seen && sum->most_us > more->most_us ? sum->most_us : more->most_us;
    sum->seen += more->seen;
}

void repair_stats_add(struct repair_stats *sum, const struct repair_stats *more)
{
    sum->checks += more->checks;
    sum->refused += more->refused;
    sum->acts += more->acts;
    sum->overlaps += more->overlaps;
    sum->unasked += more->unasked;
    sum->late += more->late;
    sum->above += more->above;
    sum->unused += more->unused;
    sum->most = sum->most > more->most ? sum->most : more->most;
    sum->born += more->born;
    sum->endless += more->endless;
    add_clocks(&sum->scores, &more->scores);
    add_clocks(&sum->cutoffs, &more->cutoffs);
}
