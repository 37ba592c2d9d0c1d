#include "limiter/rule.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "protocol/decimal.h"

enum { NAME_SHOWN = 40 };

struct rule_table {
    size_t n;
    size_t prefix_max;
    struct rule rules[];
};

static int by_name(const void *a, const void *b)
{
    const struct rule *one = a, *other = b;

    return strcmp(one->name, other->name);
}

static bool rule_init(struct rule *rule, const struct rule_spec *spec)
{
    bool semaphore = spec->kind == RULE_SEMAPHORE;
    int64_t limit = spec->kind == RULE_GCRA && spec->burst > 0 ? spec->burst : spec->count;
    char *prefix = NULL;

    *rule = (struct rule){
        .name = strdup(spec->name),
        .kind = spec->kind,
        .limit = semaphore ? spec->max : limit,
        .count = semaphore ? 0 : spec->count,
        .period_ms = semaphore ? spec->lease_ms : spec->period_ms,
        .on_backend_down = spec->on_backend_down,
        .deny_cache = spec->deny_cache,
        .shadow = spec->shadow,
        .local_share = spec->local_share,
    };
    if (spec->prefix && *spec->prefix)
        prefix = strdup(spec->prefix);
    else if (asprintf(&prefix, "rl:%s:", spec->name) < 0)
        prefix = NULL;
    rule->prefix = prefix;
    rule->prefix_len = prefix ? strlen(prefix) : 0;
    return rule->name && prefix;
}

struct rule_table *rule_table_new(const struct rule_spec *specs, size_t n)
{
    struct rule_table *table = calloc(1, sizeof *table + n * sizeof *table->rules);

    for (size_t i = 0; table && i < n; i++) {
        struct rule *rule = &table->rules[i];

        table->n = i + 1;
        if (!rule_init(rule, &specs[i])) {
            rule_table_free(table);
            return NULL;
        }
        if (rule->prefix_len > table->prefix_max)
            table->prefix_max = rule->prefix_len;
    }
    if (table)
        qsort(table->rules, n, sizeof *table->rules, by_name);
    for (size_t i = 0; table && i < n; i++)
        table->rules[i].index = (unsigned)i;
    return table;
}

void rule_table_free(struct rule_table *table)
{
    for (size_t i = 0; table && i < table->n; i++) {
        free((char *)table->rules[i].name);
        free((char *)table->rules[i].prefix);
    }
    free(table);
}

size_t rule_table_count(const struct rule_table *table)
{
    return table->n;
}

const struct rule *rule_at(const struct rule_table *table, size_t i)
{
    assert(i < table->n);
    return &table->rules[i];
}

const struct rule *rule_find(const struct rule_table *table, const uint8_t *name, size_t len)
{
    size_t low = 0, high = table->n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct rule *rule = &table->rules[middle];
        size_t its_len = strlen(rule->name);
        int order = memcmp(name, rule->name, len < its_len ? len : its_len);

        if (order == 0 && len == its_len)
            return rule;
        if (order > 0 || (order == 0 && len > its_len))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

size_t rule_key_room(const struct rule_table *table, size_t subject_len)
{
    return table->prefix_max + subject_len;
}

static void push(struct rule_call *call, const void *arg, size_t len)
{
    call->argv[call->argc] = arg;
    call->lens[call->argc++] = len;
}

static void push_word(struct rule_call *call, const char *word)
{
    push(call, word, strlen(word));
}

static void push_number(struct rule_call *call, size_t i, int64_t n)
{
    char *end = call->numbers[i] + RULE_NUMBER_LEN, *at = decimal_print(end, n);

    push(call, at, (size_t)(end - at));
}

static bool is_token(const uint8_t *arg, size_t len)
{
    return len == 5 && strncasecmp((const char *)arg, "TOKEN", len) == 0;
}

/* The command, its key and the numbers that the rule knows; a semaphore's token stands between them and the options. */
static void push_rule(struct rule_call *call, const uint8_t *key, size_t key_len)
{
    static const char *const commands[] = {"LIM.GCRA", "LIM.WINDOW", "LIM.SLIDE", "LIM.SLIDE", "SEM.ACQUIRE"};
    const struct rule *rule = call->rule;

    push_word(call, commands[rule->kind]);
    push(call, key, key_len);
    push_number(call, 0, rule->limit);
    if (rule->kind == RULE_GCRA)
        push_number(call, 1, rule->count);
    push_number(call, 2, rule->period_ms);
    if (rule->kind == RULE_SLIDE || rule->kind == RULE_SLIDE_LOG)
        push_word(call, rule->kind == RULE_SLIDE ? "COUNTER" : "LOG");
}

static bool fail(struct rule_call *call, const char *what)
{
    snprintf(call->error, sizeof call->error, "ERR limit rule '%s' %s", call->rule->name, what);
    return false;
}

static bool fail_unknown(struct rule_call *call, const uint8_t *name, size_t len)
{
    char shown[NAME_SHOWN + 1];
    size_t n = len < NAME_SHOWN ? len : NAME_SHOWN;

    for (size_t i = 0; i < n; i++)
        shown[i] = name[i] > ' ' && name[i] < 0x7f && name[i] != '\'' ? (char)name[i] : '?';
    shown[n] = '\0';
    snprintf(call->error, sizeof call->error, "ERR no limit rule is named '%s%s'", shown, n < len ? "..." : "");
    return false;
}

bool rule_expand(const struct rule_table *table, const uint8_t *const *argv, const size_t *lens, size_t argc,
                 uint8_t *key, struct rule_call *call)
{
    call->argc = 0;
    call->rule = argc > 1 ? rule_find(table, argv[1], lens[1]) : NULL;
    if (argc < 3) {
        snprintf(call->error, sizeof call->error, "ERR wrong number of arguments for 'lim.try' command");
        return false;
    }
    if (!call->rule)
        return fail_unknown(call, argv[1], lens[1]);
    bool semaphore = call->rule->kind == RULE_SEMAPHORE;
    bool token = argc > 3 && is_token(argv[3], lens[3]);
    if (semaphore && (!token || argc < 5))
        return fail(call, "is a semaphore: LIM.TRY name subject TOKEN token");
    if (!semaphore && token)
        return fail(call, "counts calls and takes no TOKEN");
    if (argc > RULE_ARGS_MAX - 2)
        return fail(call, "takes fewer arguments");

    memcpy(key, call->rule->prefix, call->rule->prefix_len);
    memcpy(key + call->rule->prefix_len, argv[2], lens[2]);
    push_rule(call, key, call->rule->prefix_len + lens[2]);
    for (size_t i = semaphore ? 4 : 3; i < argc; i++)
        push(call, argv[i], lens[i]);
    return true;
}

static bool begins(const struct rule *rule, const uint8_t *key, size_t len)
{
    return len >= rule->prefix_len && !memcmp(key, rule->prefix, rule->prefix_len);
}

const struct rule *rule_of_key(const struct rule_table *table, const uint8_t *key, size_t len)
{
    const struct rule *found = NULL;

    for (size_t i = 0; i < table->n; i++) {
        const struct rule *rule = &table->rules[i];

        if (begins(rule, key, len) && (!found || rule->prefix_len > found->prefix_len))
            found = rule;
    }
    return found;
}

bool rule_table_may_own(const struct rule_table *table, const uint8_t *key, size_t len)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct rule *rule = &table->rules[i];

        if (rule->deny_cache && begins(rule, key, len))
            return true;
    }
    return false;
}
