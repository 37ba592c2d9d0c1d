/* Rules that hold between values, looked at after all layers have spoken. */
#include <stdlib.h>
#include <string.h>

#include "conf/loader.h"
#include "conf/text.h"
#include "conf/value.h"

static void check_required(struct loader *loader, const struct instance *instance)
{
    for (size_t i = 0; i < instance->section->n_options; i++) {
        const struct option *option = &instance->section->options[i];
        if (option->required && !cell_given(&instance->cells[i])) {
            char *key = cell_key(instance, option);
            loader_mistake(loader, instance->origin, "%s: is required%s%s%s", key,
                           option->secret ? ", as is or by a key that ends in _file" : "",
                           option->by_env ? ", or by " : "", option->by_env ? option->by_env : "");
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

/* A certificate without its key, or a key alone, cannot be shown to anybody. */
static void check_certificate(struct loader *loader, const struct instance *instance)
{
    static const char *const keys[] = {"cert_file", "key_file"};
    const struct cell *cells[2];
    const struct setting *in_force[2];
    for (size_t i = 0; i < 2; i++) {
        cells[i] = instance_cell(instance, option_find(instance->section, keys[i]));
        const struct cell *from = cell_in_force(loader->conf, cells[i]);
        in_force[i] = cell_effective(from);
        if (cell_bad(cells[i]) || cell_bad(from)) {
            return;
        }
    }
    bool own = *cell_effective(cells[0])->text || *cell_effective(cells[1])->text;
    if (!own || !*in_force[0]->text == !*in_force[1]->text) {
        return;
    }
    size_t given = *in_force[1]->text != '\0';
    char *key = cell_key(instance, cells[given]->option);
    loader_mistake(loader, in_force[given]->origin, "%s: is set but %s is not", key, keys[!given]);
    free(key);
}

static void check_certificates(struct loader *loader)
{
    for (size_t i = 0; i < loader->conf->n_instances; i++) {
        const struct instance *instance = &loader->conf->instances[i];
        if (option_find(instance->section, "cert_file")) {
            check_certificate(loader, instance);
        }
    }
}

static void check_orders(struct loader *loader)
{
    static const struct {
        const char *section, *low, *high;
    } orders[] = {
        {"listen", "stream_threshold", "query_buffer"}, {"listen", "reply_buffer", "reply_buffer_max"},
        {"health", "fast_interval", "interval"},        {"fallback", "failback_hold", "failback_hold_max"},
        {"backend", "connections", "max_connections"},
    };
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        for (size_t j = 0; j < loader->conf->n_instances; j++) {
            const struct instance *instance = &loader->conf->instances[j];
            if (strcmp(instance->section->name, orders[i].section) == 0) {
                check_order(loader, instance, orders[i].low, orders[i].high);
            }
        }
    }
}

void loader_check(struct loader *loader)
{
    check_orders(loader);
    check_listen(loader, loader->conf);
    check_auth(loader, loader->conf);
    for (size_t i = 0; i < loader->conf->n_instances; i++) {
        check_required(loader, &loader->conf->instances[i]);
    }
    check_certificates(loader);
    check_backends(loader);
    check_limits(loader);
    check_ambiguities(loader);
    check_missing_sections(loader);
}
