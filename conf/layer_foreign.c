/*
 * Variables of others: those that a url_env names are read, as if their value stood in its place; of the rest, those
 * that look like Redis are told by name, since somebody may believe that they count.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/loader.h"
#include "conf/text.h"
#include "conf/value.h"

const char *env_value(char *const *environ_, const char *name)
{
    size_t len = strlen(name);
    for (; environ_ && *environ_; environ_++) {
        if (strncmp(*environ_, name, len) == 0 && (*environ_)[len] == '=') {
            return *environ_ + len + 1;
        }
    }
    return NULL;
}

/* The option's value from the variable that `by` names; `key` is the one `by` was given for. */
static void take_value(struct loader *loader, struct setting *setting, const struct option *option,
                       const struct setting *by, const char *key, const char *value)
{
    char why[VALUE_WHY_LEN];
    if (setting->origin) {
        loader_mistake(loader, by->origin, "%s: %s is given too, by %s; keep one of the two", key, option->key,
                       setting->origin);
        return;
    }
    setting->origin = text_format("env %s via %s", by->text, by->origin);
    if (!value || !*value) {
        loader_mistake(loader, by->origin, "%s: the variable %s is %s", key, by->text, value ? "empty" : "not set");
    } else if (!value_parse(option, value, &setting->number, why)) {
        loader_mistake(loader, by->origin, "%s: %s: %s", key, by->text, why);
    } else {
        setting->text = text_format("%s", value);
    }
}

static void take_layers(struct loader *loader, const struct instance *instance, const struct option *option,
                        char *const *environ_)
{
    const struct cell *named_by = instance_cell(instance, option_find(instance->section, option->by_env));
    char *key = cell_key(instance, named_by->option);
    for (size_t layer = LAYER_FILE; layer < LAYERS; layer++) {
        const struct setting *by = &named_by->by[layer];
        if (by->text && *by->text) {
            take_value(loader, &instance_cell(instance, option)->by[layer], option, by, key,
                       env_value(environ_, by->text));
        }
    }
    free(key);
}

void layer_foreign(struct loader *loader, char *const *environ_)
{
    for (size_t i = 0; i < loader->conf->n_instances; i++) {
        const struct instance *instance = &loader->conf->instances[i];
        for (size_t j = 0; j < instance->section->n_options; j++) {
            if (instance->section->options[j].by_env) {
                take_layers(loader, instance, &instance->section->options[j], environ_);
            }
        }
    }
}

static bool names_variable(const struct cell *cell, const char *name)
{
    bool found = false;
    for (size_t layer = LAYER_FILE; cell->option->type == OPTION_VARIABLE && layer < LAYERS; layer++) {
        found = found || (cell->by[layer].text && strcmp(cell->by[layer].text, name) == 0);
    }
    return found;
}

static bool is_taken(const struct conf *conf, const char *name)
{
    bool found = false;
    for (size_t i = 0; i < conf->n_instances; i++) {
        const struct instance *instance = &conf->instances[i];
        for (size_t j = 0; j < instance->section->n_options; j++) {
            found = found || names_variable(&instance->cells[j], name);
        }
    }
    return found;
}

static bool looks_like_redis(const char *name)
{
    /* A name that ends in '_' stands for all that begin with it. */
    static const char *const known[] = {"REDIS_URL",      "REDIS_TLS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD",
                                        "REDISCLOUD_URL", "VALKEY_URL",    "KV_URL",     "KV_REST_",   "UPSTASH_"};
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t len = strlen(known[i]);
        found = found || (strncmp(name, known[i], len) == 0 && (!name[len] || known[i][len - 1] == '_'));
    }
    return found;
}

char *env_ignored(const struct conf *conf, char *const *environ_)
{
    char *names = text_format("%s", "");
    for (; environ_ && *environ_; environ_++) {
        char *name = text_copy(*environ_, strcspn(*environ_, "="));
        if (looks_like_redis(name) && !is_taken(conf, name)) {
            char shown[TEXT_SHOWN_LEN];
            char *before = names;
            text_show_name(name, shown);
            names = text_format("%s%s%s", before, *before ? " " : "", shown);
            free(before);
        }
        free(name);
    }
    return names;
}
