#include "proxy/watch/stats_limits.h"

#include <stdlib.h>

#include "limiter/adopt.h"
#include "limiter/repair.h"
#include "limiter/rule.h"
#include "proxy/flow/limit_book.h"
#include "proxy/flow/limit_report.h"
#include "proxy/flow/settings.h"
#include "proxy/watch/json_out.h"
#include "proxy/watch/scene.h"

static const char *on_down(const struct limit_entry *entry)
{
    static const char *const words[] = {"deny", "allow", "local"};

    if (entry->repair)
        return words[entry->repair->allow ? RULE_DOWN_ALLOW : RULE_DOWN_DENY];
    if (entry->adoption)
        return words[entry->adoption->allow ? RULE_DOWN_ALLOW : RULE_DOWN_DENY];
    return entry->rule ? words[entry->rule->on_backend_down] : "";
}

static const char *pattern_of(const struct limit_entry *entry)
{
    if (entry->repair)
        return entry->repair->pattern;
    return entry->adoption ? entry->adoption->pattern : "";
}

static void write_terms(const struct limit_entry *entry, FILE *out)
{
    char *text = NULL;
    size_t len = 0;
    FILE *line = open_memstream(&text, &len);

    if (line) {
        limit_write_terms(line, entry);
        fclose(line);
    }
    json_text(out, "terms", text ? text : "");
    free(text);
}

static void write_settings(const struct limit_entry *entry, FILE *out)
{
    const struct rule *rule = entry->rule;
    bool semaphore = rule && rule->kind == RULE_SEMAPHORE;

    json_text(out, "name", entry->record->name);
    json_text(out, "kind", limit_kind_name(entry));
    json_text(out, "mode", limit_mode_name(entry));
    write_terms(entry, out);
    json_text(out, "on_backend_down", on_down(entry));
    json_text(out, "match", pattern_of(entry));
    json_text(out, "prefix", rule ? rule->prefix : "");
    json_bool(out, "deny_cache", rule && rule->deny_cache);
    json_number(out, "count", rule && !semaphore ? rule->count : 0);
    json_number(out, "period_ms", rule && !semaphore ? rule->period_ms : 0);
    json_number(out, "burst", rule && rule->kind == RULE_GCRA ? rule->limit : 0);
    json_number(out, "max", semaphore ? rule->limit : entry->repair ? entry->repair->max : 0);
    json_number(out, "lease_ms", semaphore ? rule->period_ms : 0);
    json_number(out, "ttl_ms", entry->repair ? entry->repair->ttl_ms : 0);
}

static void write_calls(const struct limit_sum *sum, FILE *out)
{
    fputs("\"calls\":{", out);
#define X(name) json_number(out, #name, (int64_t)sum->name);
    LIMIT_COUNTS_CALLS(X)
#undef X
    fprintf(out, "\"denied\":%llu},", (unsigned long long)sum->denied);
}

static void write_leases(const struct limit_sum *sum, FILE *out)
{
    fputs("\"leases\":{", out);
    json_number(out, "granted", (int64_t)sum->leases_granted);
    json_number(out, "resumed", (int64_t)sum->leases_resumed);
    json_number(out, "released", (int64_t)sum->leases_released);
    json_number(out, "expired", (int64_t)sum->leases_expired);
    json_number(out, "held", (int64_t)sum->leases);
    json_number(out, "fullest_key", (int64_t)sum->fullest);
    fprintf(out, "\"waiters\":%llu},", (unsigned long long)sum->waiters);
}

static void write_repair(const struct limit_sum *sum, FILE *out)
{
    fputs("\"repair\":{", out);
#define X(name) json_number(out, #name, (int64_t)sum->repair_##name);
    LIMIT_COUNTS_REPAIR(X)
#undef X
    json_number(out, "hold_ms", (int64_t)sum->hold_us / 1000);
    fprintf(out, "\"inferred_max\":%llu},", (unsigned long long)sum->stops_at);
}

static void write_limit(const struct scene *scene, const struct limit_entry *entry, FILE *out)
{
    struct distribution took = {0};
    struct limit_pair minute;
    struct limit_sum sum;

    limit_sum(entry->record, &sum);
    limit_add_durations(&took, entry->record);
    minute = limit_recent_of(entry, &sum);
    fputc('{', out);
    write_settings(entry, out);
    write_calls(&sum, out);
    write_leases(&sum, out);
    write_repair(&sum, out);
    json_number(out, "last_denied_ms", sum.denied_ms ? scene_wall_of(scene, sum.denied_ms) : 0);
    json_number(out, "p50_us", (int64_t)distribution_quantile(&took, 0.5));
    json_number(out, "p99_us", (int64_t)distribution_quantile(&took, 0.99));
    fprintf(out, "\"last_minute\":{\"seconds\":%u,\"admitted\":%llu,\"denied\":%llu}}", entry->record->recent.n,
            (unsigned long long)minute.admitted, (unsigned long long)minute.denied);
}

void stats_write_limits(const struct scene *scene, FILE *out)
{
    const struct limit_book *book = scene->settings->limit_book;

    fputs("\"limits\":[", out);
    for (size_t i = 0; i < book->n; i++) {
        fputs(i ? ",\n" : "", out);
        write_limit(scene, &book->at[(i + 1) % book->n], out); /* calls of no rule come last */
    }
    fputs("],", out);
}
