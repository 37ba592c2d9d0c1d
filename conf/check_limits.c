/* Whether a rule says enough to decide by, nothing that its kind has no use for, and numbers that can be counted with.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/loader.h"
#include "conf/text.h"
#include "conf/value.h"

/* Scripts count in doubles, which hold whole numbers below this. */
#define EXACT_MAX (INT64_C(1) << 53)

/* A section whose kind is a good one. */
struct rule {
    struct loader *loader;
    const struct instance *instance;
    const char *kind;
};

static const struct cell *cell_named(const struct instance *instance, const char *key)
{
    return instance_cell(instance, option_find(instance->section, key));
}

static int64_t number(const struct rule *rule, const char *key)
{
    return cell_effective(cell_named(rule->instance, key))->number;
}

static const char *text(const struct rule *rule, const char *key)
{
    return cell_effective(cell_named(rule->instance, key))->text;
}

static void need(const struct rule *rule, const char *key, const char *as_in)
{
    const struct cell *cell = cell_named(rule->instance, key);
    const struct setting *setting = cell_effective(cell);
    bool has = option_find(rule->instance->section, key)->type == OPTION_TEXT ? *setting->text : setting->number > 0;
    if (cell_bad(cell) || has) {
        return;
    }
    const char *origin = cell_given(cell) ? setting->origin : rule->instance->origin;
    loader_mistake(rule->loader, origin, "limit.%s.%s: is needed by kind %s, as in %s", rule->instance->name, key,
                   rule->kind, as_in);
}

/* A limit that is written down but not in force is one its owner believes in. */
static void no_use(const struct rule *rule, const char *key, const char *of)
{
    const struct cell *cell = cell_named(rule->instance, key);
    if (cell_given(cell) && !cell_bad(cell)) {
        loader_mistake(rule->loader, cell_effective(cell)->origin, "limit.%s.%s: is for %s, this one is %s",
                       rule->instance->name, key, of, rule->kind);
    }
}

static void no_local(const struct rule *rule, const char *why)
{
    if (strcmp(text(rule, "on_backend_down"), "local") == 0) {
        loader_mistake(rule->loader, cell_effective(cell_named(rule->instance, "on_backend_down"))->origin,
                       "limit.%s.on_backend_down: %s, allowed are deny and allow", rule->instance->name, why);
    }
}

static void check_semaphore(const struct rule *rule)
{
    need(rule, "max", "5");
    need(rule, "lease", "600s");
    no_use(rule, "rate", "the other kinds");
    no_use(rule, "burst", "kind gcra");
    no_local(rule, "local cannot know who else holds a place of a semaphore");
    if (number(rule, "deny_cache")) {
        loader_mistake(rule->loader, cell_effective(cell_named(rule->instance, "deny_cache"))->origin,
                       "limit.%s.deny_cache: a place of a semaphore can become free at any time, allowed is no",
                       rule->instance->name);
    }
}

static void check_counts(const struct rule *rule)
{
    const struct cell *cell = cell_named(rule->instance, "rate");
    struct rate rate = value_rate(cell_effective(cell)->text);
    const char *origin = cell_effective(cell)->origin, *name = rule->instance->name;
    if (cell_bad(cell) || rate.count == 0) {
        return;
    }
    if (strcmp(rule->kind, "slide") == 0 && rate.count + 1 > (EXACT_MAX - 1) / rate.period_ms) {
        loader_mistake(rule->loader, origin, "limit.%s.rate: kind slide cannot count that many in so long a period",
                       name);
    }
    if (strcmp(rule->kind, "gcra") != 0) {
        return;
    }
    if (rate.period_ms * 1000000 < rate.count) {
        loader_mistake(rule->loader, origin, "limit.%s.rate: is more than one call in a nanosecond", name);
    }
    int64_t burst = number(rule, "burst");
    if ((__int128)burst * rate.period_ms * 1000 / rate.count > EXACT_MAX / 2) {
        loader_mistake(rule->loader, cell_effective(cell_named(rule->instance, "burst"))->origin,
                       "limit.%s.burst: takes more than 140 years to come back at this rate", name);
    }
}

/* Kinds of clients that know nothing of limits. */
static bool repairs(const char *kind)
{
    static const char *const kinds[] = {"zset", "set", "list", "counter", "incr"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kind, kinds[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_script(const char *kind)
{
    return strcmp(kind, "script") == 0;
}

static bool is_counter(const char *kind)
{
    return strcmp(kind, "counter") == 0 || strcmp(kind, "incr") == 0;
}

static void check_match(const struct rule *rule)
{
    const struct setting *match = cell_effective(cell_named(rule->instance, "match"));
    need(rule, "match", "key:concurrent:*");
    if (*match->text && (strncmp(match->text, "key:", 4) != 0 || !match->text[4])) {
        loader_mistake(rule->loader, match->origin,
                       "limit.%s.match: \"%s\" is not key: and a pattern, as in "
                       "key:concurrent:*",
                       rule->instance->name, match->text);
    }
}

/* Of what stands in `adopt` and `returns` the limiter is the judge. */
static void check_script(const struct rule *rule)
{
    static const char *const of_others[] = {"mode",        "rate",       "burst",    "max",    "lease",
                                            "ttl",         "late",       "monitors", "prefix", "shadow",
                                            "local_share", "deny_cache", "scripts"};
    check_match(rule);
    need(rule, "adopt", "<sha1> SEM.ACQUIRE KEYS[1] 5 60000 ARGV[1]");
    for (size_t i = 0; i < sizeof of_others / sizeof *of_others; i++) {
        no_use(rule, of_others[i], "the other kinds");
    }
    no_local(rule, "local cannot know what the key holds");
}

/* Only what is enforced must be decided. */
static void check_repair(const struct rule *rule)
{
    static const char *const of_others[] = {"rate", "burst", "lease", "prefix", "shadow", "local_share", "deny_cache"};
    check_match(rule);
    if (strcmp(text(rule, "mode"), "enforce") == 0) {
        if (strcmp(rule->kind, "incr") != 0) {
            need(rule, "max", "5");
        }
        if (is_counter(rule->kind)) {
            need(rule, "ttl", "60s");
        }
    }
    for (size_t i = 0; i < sizeof of_others / sizeof *of_others; i++) {
        no_use(rule, of_others[i], "the kinds that are called by name");
    }
    if (strcmp(rule->kind, "incr") == 0) {
        no_use(rule, "late", "the kinds that are checked");
        no_use(rule, "monitors", "the kinds that are checked");
    }
    if (strcmp(rule->kind, "zset") != 0) {
        no_use(rule, "scripts", "kind zset");
    }
    no_local(rule, "local cannot know what the key holds");
}

static void check_limit(struct loader *loader, const struct instance *instance)
{
    const struct cell *kind = cell_named(instance, "kind");
    struct rule rule = {loader, instance, cell_effective(kind)->text};
    if (cell_bad(kind) || !*rule.kind) {
        return;
    }
    if (is_script(rule.kind)) {
        check_script(&rule);
        return;
    }
    no_use(&rule, "adopt", "kind script");
    no_use(&rule, "returns", "kind script");
    if (repairs(rule.kind)) {
        check_repair(&rule);
        return;
    }
    no_use(&rule, "scripts", "kind zset");
    no_use(&rule, "match", "kinds zset, set, list, counter, incr and script");
    static const char *const of_repairs[] = {"mode", "ttl", "late", "monitors"};
    for (size_t i = 0; i < sizeof of_repairs / sizeof *of_repairs; i++) {
        no_use(&rule, of_repairs[i], "kinds zset, set, list, counter and incr");
    }
    if (strcmp(rule.kind, "semaphore") == 0) {
        check_semaphore(&rule);
        return;
    }
    need(&rule, "rate", "100/60s");
    no_use(&rule, "max", "kind semaphore");
    no_use(&rule, "lease", "kind semaphore");
    if (strcmp(rule.kind, "gcra") != 0) {
        no_use(&rule, "burst", "kind gcra");
    }
    check_counts(&rule);
}

/* What its keys begin with; the caller frees it. */
static char *prefix_of(const struct instance *instance)
{
    const char *prefix = cell_effective(cell_named(instance, "prefix"))->text;
    return *prefix ? text_format("%s", prefix) : text_format("rl:%s:", instance->name);
}

/* Whether it is a rule whose prefix is known. */
static bool is_good_limit(const struct instance *instance)
{
    return strcmp(instance->section->name, "limit") == 0 && !cell_bad(cell_named(instance, "prefix")) &&
           !repairs(cell_effective(cell_named(instance, "kind"))->text) &&
           !is_script(cell_effective(cell_named(instance, "kind"))->text);
}

/* Two rules on the same keys would read each other's state as their own. */
static void check_prefix(struct loader *loader, size_t i)
{
    const struct instance *instance = &loader->conf->instances[i];
    char *prefix = prefix_of(instance);
    for (size_t j = 0; j < i; j++) {
        const struct instance *other = &loader->conf->instances[j];
        char *its_prefix = is_good_limit(other) ? prefix_of(other) : NULL;
        bool same = its_prefix && strcmp(prefix, its_prefix) == 0;
        free(its_prefix);
        if (same) {
            const struct setting *setting = cell_effective(cell_named(instance, "prefix"));
            loader_mistake(loader, *setting->text ? setting->origin : instance->origin,
                           "limit.%s.prefix: its keys begin with %s like those of limit.%s", instance->name, prefix,
                           other->name);
            break;
        }
    }
    free(prefix);
}

/* Whether commands can be both kinds', or keys hold what the other does not understand: scores of the clients' own. */
static bool share_commands(const char *kind, const char *other)
{
    if (is_script(kind) || is_script(other)) {
        return is_script(kind) != is_script(other);
    }
    return strcmp(kind, other) == 0 || (is_counter(kind) && is_counter(other));
}

/* A rule that never holds, because an earlier one has all of its keys, is one its owner believes in. */
static void check_same_match(struct loader *loader, size_t i)
{
    const struct instance *instance = &loader->conf->instances[i];
    const struct setting *match = cell_effective(cell_named(instance, "match"));
    const char *kind = cell_effective(cell_named(instance, "kind"))->text;
    for (size_t j = 0; j < i && *match->text && (repairs(kind) || is_script(kind)); j++) {
        const struct instance *other = &loader->conf->instances[j];
        if (strcmp(other->section->name, "limit") == 0 &&
            share_commands(kind, cell_effective(cell_named(other, "kind"))->text) &&
            strcmp(match->text, cell_effective(cell_named(other, "match"))->text) == 0) {
            loader_mistake(loader, match->origin, "limit.%s.match: %s is limit.%s's already", instance->name,
                           match->text, other->name);
            return;
        }
    }
}

void check_limits(struct loader *loader)
{
    for (size_t i = 0; i < loader->conf->n_instances; i++) {
        const struct instance *instance = &loader->conf->instances[i];
        if (strcmp(instance->section->name, "limit") == 0) {
            check_limit(loader, instance);
            check_same_match(loader, i);
        }
        if (is_good_limit(instance)) {
            check_prefix(loader, i);
        }
    }
}
