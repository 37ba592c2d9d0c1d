#include "proxy/flow/limit_report.h"

#include "limiter/adopt.h"
#include "limiter/repair.h"
#include "limiter/rule.h"
#include "proxy/flow/limit_book.h"
#include "proxy/flow/settings.h"

static void write_span(FILE *out, int64_t ms)
{
    if (ms % 1000)
        fprintf(out, "%lldms", (long long)ms);
    else if (ms % 3600000)
        fprintf(out, "%llds", (long long)ms / 1000);
    else
        fprintf(out, "%lldh", (long long)ms / 3600000);
}

static void write_rule(FILE *out, const struct rule *rule)
{
    if (rule->kind == RULE_SEMAPHORE)
        fprintf(out, "max %lld, lease ", (long long)rule->limit);
    else
        fprintf(out, "%lld/", (long long)rule->count);
    write_span(out, rule->period_ms);
    if (rule->kind == RULE_GCRA)
        fprintf(out, ", burst %lld", (long long)rule->limit);
}

void limit_write_terms(FILE *out, const struct limit_entry *entry)
{
    if (entry->rule)
        write_rule(out, entry->rule);
    else if (entry->repair)
        fprintf(out, "key:%s", entry->repair->pattern);
    else if (entry->adoption)
        fprintf(out, "key:%s, %s", entry->adoption->pattern, entry->adoption->row->name);
    else
        fputs("calls with their own numbers", out);
    if (!entry->repair)
        return;
    if (entry->repair->max)
        fprintf(out, ", max %lld", (long long)entry->repair->max);
    if (entry->repair->ttl_ms) {
        fputs(", ttl ", out);
        write_span(out, entry->repair->ttl_ms);
    }
}

const char *limit_mode_name(const struct limit_entry *entry)
{
    if (entry->repair)
        return entry->repair->mode == REPAIR_ENFORCE ? "enforce" : "observe";
    return entry->rule && entry->rule->shadow ? "shadow" : "deny";
}

/* What is not worth a word while it is 0. */
static void say(FILE *out, uint64_t n, const char *what)
{
    if (n)
        fprintf(out, ", %llu %s", (unsigned long long)n, what);
}

static void say_calls(FILE *out, const struct limit_sum *sum)
{
    fprintf(out, "%llu admitted, %llu denied", (unsigned long long)sum->admitted, (unsigned long long)sum->denied);
    say(out, sum->denied_cached, "of them without asking");
    say(out, sum->shadowed, "would be denied but for shadow");
    say(out, sum->served, "asked for no leave");
    say(out, sum->queued, "in transactions");
    say(out, sum->failed, "failed");
    say(out, sum->down_closed + sum->down_open + sum->down_local, "decided without a backend");
    say(out, sum->late, "too late");
}

static void say_repair(FILE *out, const struct limit_sum *sum)
{
    fprintf(out, "%llu checks, %llu refused, %llu acts", (unsigned long long)sum->repair_checks,
            (unsigned long long)sum->repair_refused, (unsigned long long)sum->repair_acts);
    say(out, sum->repair_overlaps, "acts that overlapped");
    say(out, sum->repair_above, "checks above the maximum");
    say(out, sum->repair_late, "acts too late");
    say(out, sum->repair_unasked, "acts without a check");
    say(out, sum->repair_unused, "checks without an act");
    say(out, sum->repair_endless, "counters without an end");
    say(out, sum->down_closed + sum->down_open, "decided without a backend");
    if (sum->stops_at)
        fprintf(out, ", clients stop at %llu", (unsigned long long)sum->stops_at);
}

static void report_limit(FILE *out, const struct limit_entry *entry, uint64_t now_ms, const char *end)
{
    struct limit_sum sum;

    limit_sum(entry->record, &sum);
    fprintf(out, "%-16s %-9s %-7s  ", entry->record->name, limit_kind_name(entry), limit_mode_name(entry));
    limit_write_terms(out, entry);
    fputs(": ", out);
    if (entry->repair)
        say_repair(out, &sum);
    else
        say_calls(out, &sum);
    if (sum.denied_ms)
        fprintf(out, ", the last denial %.1fs ago",
                (double)(now_ms > sum.denied_ms ? now_ms - sum.denied_ms : 0) / 1000);
    fputs(end, out);
}

void report_limits(FILE *out, const struct settings *settings, uint64_t now_ms, const char *end)
{
    for (size_t i = 1; i < settings->limit_book->n; i++)
        report_limit(out, &settings->limit_book->at[i], now_ms, end);
    report_limit(out, &settings->limit_book->at[0], now_ms, end);
}

static void report_places(FILE *out, const struct limit_entry *entry, uint64_t now_ms, const char *end)
{
    struct limit_sum sum;

    limit_sum(entry->record, &sum);
    fprintf(out, "%-16s %llu places held, the fullest key has %llu", entry->record->name,
            (unsigned long long)sum.leases, (unsigned long long)sum.fullest);
    if (entry->rule)
        fprintf(out, " of %lld", (long long)entry->rule->limit);
    if (sum.next_end_ms)
        fprintf(out, ", the first ends in %.1fs",
                (double)(sum.next_end_ms > now_ms ? sum.next_end_ms - now_ms : 0) / 1000);
    fprintf(out, "; %llu wait; %llu granted, %llu resumed, %llu given back, %llu expired%s",
            (unsigned long long)sum.waiters, (unsigned long long)sum.leases_granted,
            (unsigned long long)sum.leases_resumed, (unsigned long long)sum.leases_released,
            (unsigned long long)sum.leases_expired, end);
}

void report_leases(FILE *out, const struct settings *settings, uint64_t now_ms, const char *end)
{
    const struct limit_book *book = settings->limit_book;

    for (size_t i = 1; i < book->n; i++)
        if (book->at[i].rule && book->at[i].rule->kind == RULE_SEMAPHORE)
            report_places(out, &book->at[i], now_ms, end);
    report_places(out, &book->at[0], now_ms, end);
}
