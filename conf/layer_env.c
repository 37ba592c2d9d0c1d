#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conf/loader.h"
#include "conf/text.h"

static const char prefix[] = "RESPGATE_";

enum { READINGS_MAX = 8, NAME_ROOM = 64 };

/* One way to read a variable's name. */
struct reading {
    const struct section *section;
    const struct option *option;
    bool from_file;
    char name[NAME_ROOM]; /* "" for plain sections */
};

/* True when `upper` is `key` in upper case, with `suffix` behind it. */
static bool is_upper_of(const char *upper, const char *key, const char *suffix)
{
    for (; *key; key++, upper++) {
        char want = *key >= 'a' && *key <= 'z' ? (char)(*key - 'a' + 'A') : *key;
        if (*upper != want) {
            return false;
        }
    }
    return strcmp(upper, suffix) == 0;
}

static const struct option *find_upper(const struct section *section, const char *upper, bool *from_file)
{
    for (size_t i = 0; i < section->n_options; i++) {
        const struct option *option = &section->options[i];
        *from_file = option->secret && is_upper_of(upper, option->key, "_FILE");
        if (*from_file || is_upper_of(upper, option->key, "")) {
            return option;
        }
    }
    return NULL;
}

/* "UP_STREAM" as the name up-stream. False when it is no name in upper case. */
static bool name_from_upper(const char *upper, size_t len, char out[NAME_ROOM])
{
    if (len == 0 || len >= NAME_ROOM) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        bool letter = upper[i] >= 'A' && upper[i] <= 'Z';
        if (!letter && upper[i] != '_' && (upper[i] < '0' || upper[i] > '9')) {
            return false;
        }
        out[i] = letter ? (char)(upper[i] - 'A' + 'a') : upper[i] == '_' ? '-' : upper[i];
    }
    out[len] = '\0';
    return true;
}

/* The section whose upper-case name and '_' begin `rest`; *after is what follows. */
static const struct section *find_section(const char *rest, const char **after)
{
    for (size_t i = 0; i < conf_n_sections; i++) {
        size_t len = strlen(conf_sections[i]->name);
        char *head = strnlen(rest, len + 1) > len && rest[len] == '_' ? text_copy(rest, len) : NULL;
        bool found = head && is_upper_of(head, conf_sections[i]->name, "");
        free(head);
        if (found) {
            *after = rest + len + 1;
            return conf_sections[i];
        }
    }
    return NULL;
}

/* Every way to read what follows RESPGATE_<SECTION>_, the one with the longest key first. */
static size_t readings(const struct section *section, const char *rest, struct reading out[READINGS_MAX])
{
    size_t n = 0;
    bool from_file;
    const struct option *option = section->named && !section->shorthand ? NULL : find_upper(section, rest, &from_file);
    if (option) {
        out[n] = (struct reading){.section = section, .option = option, .from_file = from_file};
        strcpy(out[n++].name, section->named ? section->shorthand : "");
    }
    for (const char *at = section->named ? strchr(rest, '_') : NULL; at && n < READINGS_MAX; at = strchr(at + 1, '_')) {
        option = find_upper(section, at + 1, &from_file);
        out[n] = (struct reading){.section = section, .option = option, .from_file = from_file};
        if (option && name_from_upper(rest, (size_t)(at - rest), out[n].name)) {
            n++;
        }
    }
    return n;
}

/* RESPGATE_BACKEND_DOCKER_URL out of backend, "DOCKER" and url; no name: RESPGATE_BACKEND_URL. */
static char *variable(const struct section *section, const char *name, size_t name_len, const char *key)
{
    char *text = text_format("%s%s_%.*s%s%s", prefix, section->name, (int)name_len, name, name_len > 0 ? "_" : "", key);
    for (char *c = text; *c; c++) {
        *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
    }
    return text;
}

/* The known variable nearest to a misspelt one; NULL when none is near. The caller frees it. */
static char *nearest_variable(const char *whole)
{
    const char *rest;
    const struct section *named = find_section(whole + sizeof prefix - 1, &rest);
    const char *at = named && named->named ? strrchr(rest, '_') : NULL;
    for (; at && at > rest; at = memrchr(rest, '_', (size_t)(at - rest))) {
        const char *key = option_nearest(named, at + 1);
        char name[NAME_ROOM];
        if (key && name_from_upper(rest, (size_t)(at - rest), name)) {
            return variable(named, rest, (size_t)(at - rest), key);
        }
    }
    for (size_t i = 0; i < conf_n_sections; i++) {
        const struct section *section = conf_sections[i];
        assert(section);
        bool unnamed = !section->named || section->shorthand;
        for (size_t j = 0; unnamed && j < section->n_options; j++) {
            char *known = variable(section, "", 0, section->options[j].key);
            if (text_distance(known, whole) < 3) {
                return known;
            }
            free(known);
        }
    }
    return NULL;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Kubernetes describes every Service to every pod in this shape; one may be called respgate, or respgate-metrics. */
static bool is_service_link(const char *rest, const char *value)
{
    if (strncmp(rest, "SERVICE_", 8) == 0 || strncmp(rest, "PORT_", 5) == 0 || strcmp(rest, "PORT") == 0) {
        return true;
    }
    const char *port = strstr(rest, "_PORT_");
    bool with_protocol = port && (strstr(port, "_TCP") || strstr(port, "_UDP") || strstr(port, "_SCTP"));
    return ends_with(rest, "_SERVICE_HOST") || ends_with(rest, "_SERVICE_PORT") || strstr(rest, "_SERVICE_PORT_") ||
           (ends_with(rest, "_PORT") && strstr(value, "://")) || with_protocol;
}

static void unknown_variable(struct loader *loader, const char *name)
{
    char shown[TEXT_SHOWN_LEN];
    text_show_name(name, shown);
    char *origin = text_format("env %s", shown);
    char *nearest = nearest_variable(name);
    loader_mistake(loader, origin, "unknown variable%s%s", nearest ? ", did you mean " : "", nearest ? nearest : "");
    free(origin);
    free(nearest);
}

static void remember_ambiguity(struct loader *loader, const char *origin, const struct reading *second)
{
    size_t n = loader->n_ambiguities++;
    loader->ambiguities = text_grow(loader->ambiguities, (n + 1) * sizeof *loader->ambiguities);
    loader->ambiguities[n] = (struct ambiguity){.origin = text_format("%s", origin),
                                                .section = second->section,
                                                .name = text_format("%s", second->name),
                                                .option = second->option};
}

static void set_variable(struct loader *loader, const char *name, const char *value)
{
    const char *rest;
    const struct section *section = find_section(name + sizeof prefix - 1, &rest);
    struct reading ways[READINGS_MAX];
    size_t n = section ? readings(section, rest, ways) : 0;
    if (n == 0) {
        if (!is_service_link(name + sizeof prefix - 1, value)) {
            unknown_variable(loader, name);
        }
        return;
    }
    char *origin = text_format("env %s", name);
    struct instance *instance = loader_instance(loader, section, ways[0].name, origin);
    if (instance) {
        loader_set(loader, LAYER_ENV, instance, ways[0].option, ways[0].from_file, value, origin);
    }
    for (size_t i = 1; i < n; i++) {
        remember_ambiguity(loader, origin, &ways[i]);
    }
    free(origin);
}

void layer_env(struct loader *loader, char *const *environ_)
{
    for (; environ_ && *environ_; environ_++) {
        const char *equals = strchr(*environ_, '=');
        if (!equals || strncmp(*environ_, prefix, sizeof prefix - 1) != 0) {
            continue;
        }
        char *name = text_copy(*environ_, (size_t)(equals - *environ_));
        if (strcmp(name, "RESPGATE_CONFIG") != 0 && strcmp(name, "RESPGATE_EXPECT") != 0) {
            set_variable(loader, name, equals + 1);
        }
        free(name);
    }
}
