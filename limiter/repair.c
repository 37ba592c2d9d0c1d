#include "limiter/repair.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/pattern.h"

struct repair_table {
    size_t n;
    unsigned kinds; /* of any rule */
    struct repair_rule rules[];
};

struct repair_table *repair_table_new(const struct repair_rule *rules, size_t n)
{
    struct repair_table *table = calloc(1, sizeof *table + n * sizeof *table->rules);

    for (size_t i = 0; table && i < n; i++) {
        struct repair_rule *rule = &table->rules[i];

        *rule = rules[i];
        rule->name = strdup(rules[i].name);
        rule->pattern = strdup(rules[i].pattern);
        rule->monitors = strdup(rules[i].monitors ? rules[i].monitors : "");
        table->n = i + 1;
        if (!rule->name || !rule->pattern || !rule->monitors) {
            repair_table_free(table);
            return NULL;
        }
        rule->index = (unsigned)i;
        rule->pattern_len = strlen(rule->pattern);
        rule->literal_len = pattern_literal(rule->pattern, rule->pattern_len);
        table->kinds |= rule->kind;
    }
    return table;
}

void repair_table_free(struct repair_table *table)
{
    for (size_t i = 0; table && i < table->n; i++) {
        free((char *)table->rules[i].name);
        free((char *)table->rules[i].pattern);
        free((char *)table->rules[i].monitors);
    }
    free(table);
}

size_t repair_table_count(const struct repair_table *table)
{
    return table->n;
}

const struct repair_rule *repair_table_at(const struct repair_table *table, size_t i)
{
    assert(i < table->n);
    return &table->rules[i];
}

bool repair_table_shows(const struct repair_table *table)
{
    for (size_t i = 0; i < table->n; i++)
        if (table->rules[i].shows)
            return true;
    return false;
}

bool repair_rule_is_monitor(const struct repair_rule *rule, const char *name)
{
    size_t len = strlen(name), word_len;

    for (const char *word = rule->monitors; *word; word += word_len) {
        word += strspn(word, " ");
        word_len = strcspn(word, " ");
        if (len && word_len == len && memcmp(word, name, len) == 0)
            return true;
    }
    return false;
}

bool repair_table_may_begin(const struct repair_table *table, uint8_t byte)
{
    for (size_t i = 0; i < table->n; i++)
        if (table->rules[i].literal_len == 0 || (uint8_t)table->rules[i].pattern[0] == byte)
            return true;
    return false;
}

const struct repair_rule *repair_table_find(const struct repair_table *table, unsigned kinds, const uint8_t *key,
                                            size_t len)
{
    if (!(table->kinds & kinds))
        return NULL;
    for (size_t i = 0; i < table->n; i++) {
        const struct repair_rule *rule = &table->rules[i];

        if (rule->kind & kinds && len >= rule->literal_len && memcmp(key, rule->pattern, rule->literal_len) == 0 &&
            pattern_matches(rule->pattern + rule->literal_len, rule->pattern_len - rule->literal_len,
                            key + rule->literal_len, len - rule->literal_len))
            return rule;
    }
    return NULL;
}
