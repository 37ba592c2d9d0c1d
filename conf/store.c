#include "conf/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/text.h"
#include "conf/value.h"

struct conf *store_new(void)
{
    struct conf *conf = text_grow(NULL, sizeof *conf);
    *conf = (struct conf){.n_instances = 0};
    for (size_t i = 0; i < conf_n_sections; i++) {
        if (!conf_sections[i]->named) {
            store_add(conf, conf_sections[i], NULL, NULL);
        }
    }
    return conf;
}

struct instance *store_find(const struct conf *conf, const struct section *section, const char *name)
{
    for (size_t i = 0; i < conf->n_instances; i++) {
        struct instance *instance = &conf->instances[i];
        if (instance->section == section && (!section->named || (name && strcmp(instance->name, name) == 0))) {
            return instance;
        }
    }
    return NULL;
}

struct instance *store_add(struct conf *conf, const struct section *section, const char *name, const char *origin)
{
    size_t n = conf->n_instances++;
    conf->instances = text_grow(conf->instances, (n + 1) * sizeof *conf->instances);
    struct instance *instance = &conf->instances[n];
    *instance = (struct instance){.section = section,
                                  .name = name ? text_format("%s", name) : NULL,
                                  .origin = origin ? text_format("%s", origin) : NULL,
                                  .cells = text_grow(NULL, section->n_options * sizeof(struct cell))};
    for (size_t i = 0; i < section->n_options; i++) {
        struct cell *cell = &instance->cells[i];
        *cell = (struct cell){.option = &section->options[i]};
        struct setting *initial = &cell->by[LAYER_DEFAULT];
        initial->origin = text_format("default");
        initial->text = text_format("%s", cell->option->initial);
        char why[VALUE_WHY_LEN];
        value_parse(cell->option, initial->text, &initial->number, why);
    }
    return instance;
}

struct cell *instance_cell(const struct instance *instance, const struct option *option)
{
    return &instance->cells[option - instance->section->options];
}

const struct cell *plain_cell(const struct conf *conf, const char *section_name, const char *key)
{
    const struct section *section = section_find(section_name, strlen(section_name));
    const struct instance *instance = store_find(conf, section, NULL);

    assert(instance); /* a section without a name is always there */
    return instance_cell(instance, option_find(section, key));
}

const struct setting *cell_effective(const struct cell *cell)
{
    size_t layer = LAYERS - 1;
    while (layer > LAYER_DEFAULT && !cell->by[layer].text) {
        layer--;
    }
    return &cell->by[layer];
}

const struct cell *cell_in_force(const struct conf *conf, const struct cell *cell)
{
    const char *from = cell->option->inherits;
    return from && !*cell_effective(cell)->text ? plain_cell(conf, from, cell->option->key) : cell;
}

bool cell_given(const struct cell *cell)
{
    return cell->by[LAYER_FILE].origin || cell->by[LAYER_ENV].origin || cell->by[LAYER_SET].origin;
}

bool cell_bad(const struct cell *cell)
{
    for (size_t layer = LAYER_FILE; layer < LAYERS; layer++) {
        if (cell->by[layer].origin && !cell->by[layer].text) {
            return true;
        }
    }
    return false;
}

char *cell_key(const struct instance *instance, const struct option *option)
{
    const char *name = instance->name;
    return text_format("%s.%s%s%s", instance->section->name, name ? name : "", name ? "." : "", option->key);
}

static uint64_t fnv1a(uint64_t hash, const char *text)
{
    do {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    } while (*text++); /* the NUL separates */
    return hash;
}

void store_each(const struct conf *conf, void (*visit)(void *context, const char *key, const struct cell *cell),
                void *context)
{
    for (size_t s = 0; s < conf_n_sections; s++) {
        for (size_t i = 0; i < conf->n_instances; i++) {
            const struct instance *instance = &conf->instances[i];
            for (size_t j = 0; instance->section == conf_sections[s] && j < instance->section->n_options; j++) {
                char *key = cell_key(instance, instance->cells[j].option);
                visit(context, key, &instance->cells[j]);
                free(key);
            }
        }
    }
}

struct digest {
    const struct conf *conf;
    uint64_t hash;
};

static void digest_cell(void *context, const char *key, const struct cell *cell)
{
    struct digest *digest = context;
    const struct setting *setting = cell_effective(cell_in_force(digest->conf, cell));
    if (cell->option->secret && cell->option->type != OPTION_URL) {
        return;
    }
    char *value = value_format(cell->option, setting->text, setting->number);
    digest->hash = fnv1a(fnv1a(digest->hash, key), value);
    free(value);
}

void store_digest(const struct conf *conf, char out[17])
{
    struct digest digest = {conf, UINT64_C(0xcbf29ce484222325)};
    store_each(conf, digest_cell, &digest);
    snprintf(out, 17, "%016" PRIx64, digest.hash);
}

void conf_free(struct conf *conf)
{
    if (!conf) {
        return;
    }
    for (size_t i = 0; i < conf->n_instances; i++) {
        struct instance *instance = &conf->instances[i];
        for (size_t j = 0; j < instance->section->n_options; j++) {
            for (size_t layer = 0; layer < LAYERS; layer++) {
                free(instance->cells[j].by[layer].origin);
                text_wipe(instance->cells[j].by[layer].text);
            }
        }
        free(instance->cells);
        free(instance->name);
        free(instance->origin);
    }
    free(conf->instances);
    free(conf->file);
    free(conf->overridden);
    free(conf->ignored_env);
    free(conf->warnings);
    free(conf->expect);
    free(conf->expect_origin);
    free(conf);
}
