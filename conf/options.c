#include "conf/options.h"

#include <string.h>

#include "conf/options_rows.h"
#include "conf/text.h"

enum { N_SECTIONS = 10 };

const struct section *const conf_sections[N_SECTIONS] = {
    &listen_section,   &user_section,    &backend_section, &tls_section,   &health_section,
    &fallback_section, &limiter_section, &limit_section,   &stats_section, &log_section,
};

const size_t conf_n_sections = N_SECTIONS;

const struct section *section_find(const char *name, size_t len)
{
    for (size_t i = 0; i < conf_n_sections; i++) {
        if (strlen(conf_sections[i]->name) == len && strncmp(conf_sections[i]->name, name, len) == 0) {
            return conf_sections[i];
        }
    }
    return NULL;
}

const struct option *option_find(const struct section *section, const char *key)
{
    for (size_t i = 0; i < section->n_options; i++) {
        if (strcmp(section->options[i].key, key) == 0) {
            return &section->options[i];
        }
    }
    return NULL;
}

const struct option *option_find_file(const struct section *section, const char *key)
{
    for (size_t i = 0; i < section->n_options; i++) {
        const struct option *option = &section->options[i];
        size_t len = strlen(option->key);
        if (option->secret && strncmp(key, option->key, len) == 0 && strcmp(key + len, "_file") == 0) {
            return option;
        }
    }
    return NULL;
}

const char *section_nearest(const char *name)
{
    const char *nearest = NULL;
    unsigned best = 3;
    for (size_t i = 0; i < conf_n_sections; i++) {
        unsigned distance = text_distance(name, conf_sections[i]->name);
        if (distance < best) {
            best = distance;
            nearest = conf_sections[i]->name;
        }
    }
    return nearest;
}

const char *option_nearest(const struct section *section, const char *key)
{
    const char *nearest = NULL;
    unsigned best = 3;
    for (size_t i = 0; i < section->n_options; i++) {
        unsigned distance = text_distance(key, section->options[i].key);
        if (distance < best) {
            best = distance;
            nearest = section->options[i].key;
        }
    }
    return nearest;
}
