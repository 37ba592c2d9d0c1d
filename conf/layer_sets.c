#include <stdlib.h>
#include <string.h>

#include "conf/loader.h"
#include "conf/text.h"

static const char origin[] = "--set";

/* "KEY" or "NAME.KEY" after "SECTION."; *name may be NULL. Cuts `rest` up. */
static const char *split_name(char *rest, const char **name)
{
    char *dot = strchr(rest, '.');
    *name = dot ? rest : NULL;
    if (!dot) {
        return rest;
    }
    *dot = '\0';
    return dot + 1;
}

static void unknown_key(struct loader *loader, const struct section *section, const char *key)
{
    char shown[TEXT_SHOWN_LEN];
    text_show_name(key, shown);
    const char *nearest = option_nearest(section, key);
    loader_mistake(loader, origin, "%s.%s: unknown key%s%s", section->name, shown, nearest ? ", did you mean " : "",
                   nearest ? nearest : "");
}

/* `path` is section.key or section.NAME.key. */
static void set_path(struct loader *loader, char *path, const char *value)
{
    size_t kind_len = strcspn(path, ".");
    const struct section *section = section_find(path, kind_len);
    if (!section || !path[kind_len]) {
        char shown[TEXT_SHOWN_LEN];
        path[kind_len] = '\0';
        text_show_name(path, shown);
        const char *nearest = section ? NULL : section_nearest(path);
        loader_mistake(loader, origin, "%s: %s%s%s", shown, section ? "the key is missing" : "unknown section",
                       nearest ? ", did you mean " : "", nearest ? nearest : "");
        return;
    }
    const char *name;
    const char *key = split_name(path + kind_len + 1, &name);
    const struct option *option = option_find(section, key);
    const struct option *from_file = option ? NULL : option_find_file(section, key);
    if (!option && !from_file) {
        unknown_key(loader, section, key);
        return;
    }
    name = name ? name : section->shorthand;
    if (section->named != (name != NULL)) {
        loader_mistake(loader, origin,
                       section->named ? "%s.%s: needs a name, as in %s.NAME.%s" : "%s.%s: takes no name", section->name,
                       key, section->name, key);
        return;
    }
    struct instance *instance = loader_instance(loader, section, name, origin);
    if (instance) {
        loader_set(loader, LAYER_SET, instance, option ? option : from_file, from_file != NULL, value, origin);
    }
}

void layer_sets(struct loader *loader, const char *const *sets, size_t n_sets)
{
    for (size_t i = 0; i < n_sets; i++) {
        const char *equals = strchr(sets[i], '=');
        if (!equals) {
            loader_mistake(loader, origin, "needs section.key=value or section.NAME.key=value");
            continue;
        }
        char *path = text_copy(sets[i], (size_t)(equals - sets[i]));
        set_path(loader, path, equals + 1);
        text_wipe(path);
    }
}
