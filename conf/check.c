/* Rules that hold between values, looked at after all layers have spoken. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/loader.h"
#include "conf/text.h"
#include "conf/url.h"
#include "conf/value.h"

static const struct cell *plain_cell(const struct conf *conf, const char *section_name, const char *key)
{
    const struct section *section = section_find(section_name, strlen(section_name));
    return instance_cell(store_find(conf, section, NULL), option_find(section, key));
}

static void check_required(struct loader *loader, const struct instance *instance)
{
    for (size_t i = 0; i < instance->section->n_options; i++) {
        const struct option *option = &instance->section->options[i];
        if (option->required && !cell_given(&instance->cells[i])) {
            char *key = cell_key(instance, option);
            loader_mistake(loader, instance->origin, "%s: is required%s%s", key,
                           option->secret ? ", as is or by a key " : "", option->secret ? "that ends in _file" : "");
            free(key);
        }
    }
}

static void check_missing_sections(struct loader *loader)
{
    for (size_t i = 0; i < conf_n_sections; i++) {
        const struct section *section = conf_sections[i];
        bool found = !section->missing;
        for (size_t j = 0; j < loader->conf->n_instances; j++) {
            found = found || loader->conf->instances[j].section == section;
        }
        if (!found) {
            loader_mistake(loader, section->name, "%s", section->missing);
        }
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* The same place, user and database; the password may differ, as a rotated one does. */
static bool same_backend(const char *a_text, const char *b_text)
{
    struct redis_url a, b;
    char error[VALUE_WHY_LEN];
    if (!redis_url_parse(a_text, &a, error, sizeof error)) {
        return true;
    }
    bool same = true;
    if (redis_url_parse(b_text, &b, error, sizeof error)) {
        bool host = a.is_unix ? strcmp(a.host, b.host) == 0 : strcasecmp(a.host, b.host) == 0;
        same = a.tls == b.tls && a.is_unix == b.is_unix && host && a.port == b.port && a.db == b.db &&
               same_text(a.user, b.user);
        redis_url_free(&b);
    }
    redis_url_free(&a);
    return same;
}

/* Which Redis it is must be said once, or alike: a forgotten variable must not move the data elsewhere. */
static void check_identity(struct loader *loader, const struct instance *instance, const struct cell *cell)
{
    const struct setting *first = NULL;
    for (size_t layer = LAYER_FILE; layer < LAYERS; layer++) {
        const struct setting *setting = &cell->by[layer];
        if (!setting->text) {
            continue;
        }
        if (first && !same_backend(first->text, setting->text)) {
            char *key = cell_key(instance, cell->option);
            loader_mistake(loader, setting->origin, "%s: names another backend than %s does; remove one of the two",
                           key, first->origin);
            free(key);
        }
        first = first ? first : setting;
    }
}

/* `low` must not exceed `high`. */
static void check_order(struct loader *loader, const struct instance *instance, const char *low_key,
                        const char *high_key)
{
    const struct cell *low = instance_cell(instance, option_find(instance->section, low_key));
    const struct cell *high = instance_cell(instance, option_find(instance->section, high_key));
    const struct setting *low_set = cell_effective(low), *high_set = cell_effective(high);
    if (cell_bad(low) || cell_bad(high) || low_set->number <= high_set->number) {
        return;
    }
    const struct setting *blamed = cell_given(low) ? low_set : high_set;
    char *key = cell_key(instance, low->option);
    char *low_text = value_format(low->option, low_set->text, low_set->number);
    char *high_text = value_format(high->option, high_set->text, high_set->number);
    loader_mistake(loader, blamed->origin, "%s: %s is more than %s, which is %s", key, low_text, high_key, high_text);
    free(key);
    free(low_text);
    free(high_text);
}

static void check_listen(struct loader *loader, const struct conf *conf)
{
    const struct cell *address = plain_cell(conf, "listen", "address");
    const struct cell *socket = plain_cell(conf, "listen", "unix_socket");
    const struct setting *chosen = cell_effective(address);
    if (!cell_bad(address) && !cell_bad(socket) && !*chosen->text && !*cell_effective(socket)->text) {
        loader_mistake(loader, chosen->origin, "listen.address: is empty, allowed only when listen.unix_socket is set");
    }
}

/* A password that nobody asks for is a door its owner believes to be locked. */
static void check_auth(struct loader *loader, const struct conf *conf)
{
    const struct cell *auth = plain_cell(conf, "listen", "auth");
    const struct cell *password = plain_cell(conf, "listen", "password");
    const char *mode = cell_effective(auth)->text;
    bool ours = strcmp(mode, "password") == 0;
    bool any = *cell_effective(password)->text || cell_bad(password);
    if (cell_bad(auth)) {
        return;
    }
    if (any && !ours) {
        loader_mistake(loader, cell_effective(password)->origin,
                       "listen.password: is set but listen.auth is %s, set it to password", mode);
    }
    for (size_t i = 0; i < conf->n_instances; i++) {
        const struct instance *instance = &conf->instances[i];
        if (strcmp(instance->section->name, "user") != 0) {
            continue;
        }
        any = true;
        if (!ours) {
            loader_mistake(loader, instance->origin, "user.%s: is set but listen.auth is %s, set it to password",
                           instance->name, mode);
        }
    }
    if (ours && !any) {
        loader_mistake(loader, cell_effective(auth)->origin,
                       "listen.auth: password needs listen.password or a [user NAME]");
    }
}

static void check_ambiguities(struct loader *loader)
{
    for (size_t i = 0; i < loader->n_ambiguities; i++) {
        const struct ambiguity *other = &loader->ambiguities[i];
        if (store_find(loader->conf, other->section, other->name)) {
            loader_mistake(loader, other->origin,
                           "could mean %s.%s.%s too, since there is a %s %s: use the file or --set, or rename it",
                           other->section->name, other->name, other->option->key, other->section->name, other->name);
        }
    }
}

void loader_check(struct loader *loader)
{
    const struct conf *conf = loader->conf;
    const struct instance *listen = store_find(conf, section_find("listen", 6), NULL);
    check_order(loader, listen, "stream_threshold", "query_buffer");
    check_order(loader, listen, "reply_buffer", "reply_buffer_max");
    check_listen(loader, conf);
    check_auth(loader, conf);
    for (size_t i = 0; i < conf->n_instances; i++) {
        const struct instance *instance = &conf->instances[i];
        check_required(loader, instance);
        for (size_t j = 0; j < instance->section->n_options; j++) {
            if (instance->cells[j].option->type == OPTION_URL) {
                check_identity(loader, instance, &instance->cells[j]);
            }
        }
        if (strcmp(instance->section->name, "backend") == 0) {
            check_order(loader, instance, "connections", "max_connections");
        }
    }
    check_ambiguities(loader);
    check_missing_sections(loader);
}
