#include "conf/conf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conf/loader.h"
#include "conf/store.h"
#include "conf/text.h"
#include "conf/value.h"

static const char usual_file[] = "/etc/respgate/respgate.ini";

static void load_file(struct loader *loader, const struct conf_sources *sources)
{
    const char *from_env = env_value(sources->environ_, "RESPGATE_CONFIG");
    if (sources->file) {
        layer_file(loader, sources->file, "-c");
    } else if (from_env) {
        layer_file(loader, from_env, "env RESPGATE_CONFIG");
    } else {
        layer_file(loader, usual_file, NULL);
    }
}

static void loader_finish(struct loader *loader)
{
    if (loader->n_mistakes > MISTAKES_SHOWN) {
        char *before = loader->mistakes;
        loader->mistakes = text_format("%s\nand %zu more", before, loader->n_mistakes - MISTAKES_SHOWN);
        free(before);
    }
    for (size_t i = 0; i < loader->n_ambiguities; i++) {
        free(loader->ambiguities[i].origin);
        free(loader->ambiguities[i].name);
    }
    free(loader->ambiguities);
}

static void note_override(void *context, const char *key, const struct cell *cell)
{
    struct conf *conf = context;
    const struct setting *by = cell->by;
    int layers = (by[LAYER_FILE].origin != NULL) + (by[LAYER_ENV].origin != NULL) + (by[LAYER_SET].origin != NULL);
    if (layers < 2) {
        return;
    }
    char *before = conf->overridden;
    conf->overridden = text_format("%s%s%s", before, *before ? " " : "", key);
    conf->overrides++;
    free(before);
}

/* "docker, upstash"; the caller frees it. */
static char *backend_names(const struct conf *conf)
{
    char *names = text_format("%s", "");
    for (size_t i = 0; i < conf_names(conf, "backend"); i++) {
        char *before = names;
        names = text_format("%s%s%s", before, *before ? ", " : "", conf_name_at(conf, "backend", i));
        free(before);
    }
    return names;
}

/* That no backend exists at all is another mistake, told elsewhere. */
static void load_expect(struct loader *loader, const struct conf_sources *sources)
{
    struct conf *conf = loader->conf;
    const char *from_env = env_value(sources->environ_, "RESPGATE_EXPECT");
    const char *expect = sources->expect ? sources->expect : from_env;
    if (!expect) {
        return;
    }
    conf->expect = text_format("%s", expect);
    conf->expect_origin = text_format("%s", sources->expect ? "--expect" : "env RESPGATE_EXPECT");
    char *names = backend_names(conf);
    if (*names && !store_find(conf, section_find("backend", 7), expect)) {
        char shown[TEXT_SHOWN_LEN];
        text_show_value(expect, shown);
        loader_mistake(loader, conf->expect_origin, "there is no backend \"%s\", but %s", shown, names);
    }
    free(names);
}

struct conf *conf_load(const struct conf_sources *sources, char **errors)
{
    struct loader loader = {.conf = store_new(), .override_backend = sources->override_backend};
    load_file(&loader, sources);
    layer_env(&loader, sources->environ_);
    layer_sets(&loader, sources->sets, sources->n_sets);
    layer_foreign(&loader, sources->environ_);
    loader_check(&loader);
    load_expect(&loader, sources);
    loader_finish(&loader);
    *errors = loader.mistakes;
    if (loader.mistakes) {
        conf_free(loader.conf);
        return NULL;
    }
    loader.conf->ignored_env = env_ignored(loader.conf, sources->environ_);
    loader.conf->overridden = text_format("%s", "");
    store_each(loader.conf, note_override, loader.conf);
    store_digest(loader.conf, loader.conf->digest);
    return loader.conf;
}

/* The option must be in the table and its instance must exist: callers ask for what conf_name_at() told them. */
static const struct cell *cell_of(const struct conf *conf, const char *section_name, const char *name, const char *key)
{
    const struct section *section = section_find(section_name, strlen(section_name));
    assert(section && section->named == (name != NULL));
    const struct option *option = option_find(section, key);
    assert(option);
    const struct instance *instance = store_find(conf, section, name);
    assert(instance);
    return instance_cell(instance, option);
}

bool conf_is_set(const struct conf *conf, const char *section, const char *name, const char *key)
{
    const struct cell *cell = cell_of(conf, section, name, key);
    return cell_given(cell) && cell_in_force(conf, cell) == cell;
}

const char *conf_string(const struct conf *conf, const char *section, const char *name, const char *key)
{
    const struct cell *cell = cell_of(conf, section, name, key);
    enum option_type type = cell->option->type;
    assert(type != OPTION_NUMBER && type != OPTION_SIZE && type != OPTION_DURATION && type != OPTION_BOOL);
    return cell_effective(cell_in_force(conf, cell))->text;
}

int64_t conf_number(const struct conf *conf, const char *section, const char *name, const char *key)
{
    const struct cell *cell = cell_of(conf, section, name, key);
    enum option_type type = cell->option->type;
    assert(type != OPTION_TEXT && type != OPTION_NAMES && type != OPTION_ADDRESS && type != OPTION_VARIABLE &&
           type != OPTION_URL && type != OPTION_RATE);
    return cell_effective(cell_in_force(conf, cell))->number;
}

struct conf_rate conf_rate(const struct conf *conf, const char *section, const char *name, const char *key)
{
    const struct cell *cell = cell_of(conf, section, name, key);
    assert(cell->option->type == OPTION_RATE);
    struct rate rate = value_rate(cell_effective(cell)->text);
    return (struct conf_rate){.count = rate.count, .period_ms = rate.period_ms};
}

size_t conf_names(const struct conf *conf, const char *section)
{
    size_t n = 0;
    assert(section_find(section, strlen(section))->named);
    for (size_t i = 0; i < conf->n_instances; i++) {
        n += strcmp(conf->instances[i].section->name, section) == 0;
    }
    return n;
}

const char *conf_name_at(const struct conf *conf, const char *section, size_t i)
{
    for (size_t j = 0; j < conf->n_instances; j++) {
        if (strcmp(conf->instances[j].section->name, section) == 0 && i-- == 0) {
            return conf->instances[j].name;
        }
    }
    assert(!"conf_name_at() beyond conf_names()");
    return NULL;
}

const char *conf_origin(const struct conf *conf, const char *section, const char *name, const char *key)
{
    return cell_effective(cell_in_force(conf, cell_of(conf, section, name, key)))->origin;
}

const char *conf_file(const struct conf *conf)
{
    return conf->file ? conf->file : "";
}

const char *conf_digest(const struct conf *conf)
{
    return conf->digest;
}

size_t conf_overrides(const struct conf *conf)
{
    return conf->overrides;
}

const char *conf_overridden(const struct conf *conf)
{
    return conf->overridden;
}

const char *conf_ignored_env(const struct conf *conf)
{
    return conf->ignored_env;
}

const char *conf_warnings(const struct conf *conf)
{
    return conf->warnings ? conf->warnings : "";
}

const char *conf_expect(const struct conf *conf)
{
    return conf->expect ? conf->expect : "";
}

const char *conf_expect_origin(const struct conf *conf)
{
    return conf->expect_origin ? conf->expect_origin : "";
}
