#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>

#include "conf/store.h"
#include "conf/text.h"
#include "conf/value.h"

enum { VALUE_COLUMN_MAX = 32 }; /* a longer value pushes its own origin aside, not everyone's */

static char *shown(const struct cell *cell, const struct setting *setting)
{
    return value_format(cell->option, setting->text, setting->number);
}

/* Where the value in force comes from: its origin, or the key it is taken from. */
static char *source(const struct cell *cell, const struct cell *in_force)
{
    const char *key = cell->option->key, *from = cell->option->inherits;
    return cell == in_force ? text_format("%s", cell_effective(cell)->origin) : text_format("%s.%s", from, key);
}

struct table {
    const struct conf *conf;
    FILE *out;
    bool origins;
    int key_width, value_width;
};

static void measure(void *context, const char *key, const struct cell *cell)
{
    struct table *table = context;
    char *value = shown(cell, cell_effective(cell_in_force(table->conf, cell)));
    int key_len = (int)strlen(key), value_len = (int)strlen(value);
    table->key_width = key_len > table->key_width ? key_len : table->key_width;
    if (value_len > table->value_width && value_len <= VALUE_COLUMN_MAX) {
        table->value_width = value_len;
    }
    free(value);
}

static void text_line(void *context, const char *key, const struct cell *cell)
{
    const struct table *table = context;
    const struct cell *in_force = cell_in_force(table->conf, cell);
    const struct setting *effective = cell_effective(cell);
    char *value = shown(cell, cell_effective(in_force));
    if (!table->origins) {
        fprintf(table->out, "%-*s =%s%s\n", table->key_width, key, *value ? " " : "", value);
        free(value);
        return;
    }
    char *origin = source(cell, in_force);
    fprintf(table->out, "%-*s = %-*s   # %s", table->key_width, key, table->value_width, value, origin);
    free(origin);
    free(value);
    const char *before = ", shadows ";
    for (const struct setting *lower = effective - 1; lower > cell->by + LAYER_DEFAULT; lower--) {
        if (lower->text) {
            char *lower_value = shown(cell, lower);
            fprintf(table->out, "%s%s (%s)", before, lower->origin, lower_value);
            free(lower_value);
            before = ", ";
        }
    }
    fputc('\n', table->out);
}

static void json_pair(FILE *out, const char *name, const char *text)
{
    fprintf(out, "\"%s\": ", name);
    text_write_json(out, text);
}

struct json_list {
    const struct conf *conf;
    FILE *out;
    const char *before; /* what separates the next line from the one before */
};

static void json_line(void *context, const char *key, const struct cell *cell)
{
    struct json_list *list = context;
    const struct cell *in_force = cell_in_force(list->conf, cell);
    const struct setting *effective = cell_effective(cell);
    char *value = shown(cell, cell_effective(in_force));
    char *origin = source(cell, in_force);
    fprintf(list->out, "%s{", list->before);
    json_pair(list->out, "key", key);
    fputs(", ", list->out);
    json_pair(list->out, "value", value);
    fputs(", ", list->out);
    json_pair(list->out, "origin", origin);
    free(origin);
    fputs(", \"shadows\": [", list->out);
    free(value);
    const char *before = "";
    for (const struct setting *lower = effective - 1; lower > cell->by + LAYER_DEFAULT; lower--) {
        if (!lower->text) {
            continue;
        }
        value = shown(cell, lower);
        fprintf(list->out, "%s{", before);
        json_pair(list->out, "origin", lower->origin);
        fputs(", ", list->out);
        json_pair(list->out, "value", value);
        fputc('}', list->out);
        free(value);
        before = ", ";
    }
    fputs("]}", list->out);
    list->before = ",\n    ";
}

void conf_print(const struct conf *conf, FILE *out, enum conf_format format, bool origins)
{
    if (format == CONF_JSON) {
        struct json_list list = {.conf = conf, .out = out, .before = "\n    "};
        fprintf(out, "{\n  \"digest\": \"%s\",\n  \"values\": [", conf->digest);
        store_each(conf, json_line, &list);
        fputs("\n  ]\n}\n", out);
        return;
    }
    struct table table = {.conf = conf, .out = out, .origins = origins};
    store_each(conf, measure, &table);
    store_each(conf, text_line, &table);
}
