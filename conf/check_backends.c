/* Which Redis a backend is: the same one by all layers, another one for each backend, and never we ourselves. */
#include <stdlib.h>
#include <string.h>

#include "conf/address.h"
#include "conf/loader.h"
#include "conf/text.h"
#include "conf/url.h"
#include "conf/value.h"

/* A backend whose URL in force is a good one. */
struct target {
    char *key; /* "backend.a.url" */
    const struct setting *setting;
    struct redis_url url;
};

static bool parse(const char *text, struct redis_url *url)
{
    char error[VALUE_WHY_LEN];
    return redis_url_parse(text, url, error, sizeof error);
}

static bool same_url_text(const char *a_text, const char *b_text)
{
    struct redis_url a, b;
    bool good = parse(a_text, &a);
    bool both = parse(b_text, &b) && good;
    bool same = both && redis_url_same(&a, &b);
    redis_url_free(&a);
    redis_url_free(&b);
    return same;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* Which Redis it is must be said once, or alike: a forgotten variable must not move the data elsewhere. */
static void check_layers(struct loader *loader, const struct instance *instance, const char *key, const char *what,
                         bool (*same)(const char *, const char *))
{
    const struct cell *cell = instance_cell(instance, option_find(instance->section, key));
    const struct setting *first = NULL;
    for (size_t layer = LAYER_FILE; layer < LAYERS; layer++) {
        const struct setting *setting = &cell->by[layer];
        if (!setting->text) {
            continue;
        }
        if (first && !same(first->text, setting->text)) {
            char *whole = cell_key(instance, cell->option);
            loader_mistake(loader, setting->origin,
                           "%s: names another %s than %s does; remove one of the two, or pass --override backend",
                           whole, what, first->origin);
            free(whole);
        }
        first = first ? first : setting;
    }
}

/* A URL that leads to our own listener (as when the application's variable leaks in here) would go round for ever. */
static void check_not_ourselves(struct loader *loader, const struct target *target)
{
    const char *key = target->url.is_unix ? "unix_socket" : "address";
    const struct cell *cell = plain_cell(loader->conf, "listen", key);
    const char *ours = cell_effective(cell)->text;
    struct address address;
    bool loop;
    if (cell_bad(cell) || !*ours) {
        return;
    }
    if (target->url.is_unix) {
        loop = strcmp(target->url.host, ours) == 0;
    } else {
        loop = !address_parse(ours, strlen(ours), &address) && address.port == target->url.port &&
               host_reaches(target->url.host, address.host);
    }
    if (loop) {
        loader_mistake(loader, target->setting->origin, "%s: is our own listener (listen.%s %s)", target->key, key,
                       ours);
    }
}

/* Told once for each backend, of the first one it equals. */
static void check_unlike(struct loader *loader, const struct target *targets, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t j = 0;
        while (j < i && !redis_url_same(&targets[i].url, &targets[j].url)) {
            j++;
        }
        if (j < i) {
            loader_mistake(loader, targets[i].setting->origin, "%s: is the same backend as %s, which is set by %s",
                           targets[i].key, targets[j].key, targets[j].setting->origin);
        }
    }
}

/* In metrics, in the log and in what programs are told it stands for no backend at all. */
static void check_name(struct loader *loader, const struct instance *instance)
{
    const struct cell *cell = instance_cell(instance, option_find(instance->section, "url"));
    if (strcmp(instance->name, "none") == 0) {
        loader_mistake(loader, cell_effective(cell)->origin, "backend.none: stands for no backend; another name");
    }
}

static bool find_target(const struct instance *instance, struct target *target)
{
    const struct option *option = option_find(instance->section, "url");
    const struct cell *cell = instance_cell(instance, option);
    *target = (struct target){.setting = cell_effective(cell)};
    if (cell_bad(cell) || !parse(target->setting->text, &target->url)) {
        return false;
    }
    target->key = cell_key(instance, option);
    return true;
}

void check_backends(struct loader *loader)
{
    const struct conf *conf = loader->conf;
    struct target *targets = text_grow(NULL, conf->n_instances * sizeof *targets);
    size_t n = 0;
    for (size_t i = 0; i < conf->n_instances; i++) {
        const struct instance *instance = &conf->instances[i];
        if (strcmp(instance->section->name, "backend") != 0) {
            continue;
        }
        check_name(loader, instance);
        if (!loader->override_backend) {
            check_layers(loader, instance, "url", "backend", same_url_text);
            check_layers(loader, instance, "dataset", "data set", same_text);
        }
        if (find_target(instance, &targets[n])) {
            check_not_ourselves(loader, &targets[n++]);
        }
    }
    check_unlike(loader, targets, n);
    for (size_t i = 0; i < n; i++) {
        redis_url_free(&targets[i].url);
        free(targets[i].key);
    }
    free(targets);
}
