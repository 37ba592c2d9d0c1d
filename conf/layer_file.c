#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/loader.h"
#include "conf/reader.h"
#include "conf/text.h"

enum { FILE_MAX = 1 << 20 };

/* Where the file layer stands while lines arrive. */
struct place {
    struct loader *loader;
    const char *path;
    struct instance *instance; /* NULL after a header that cannot be used: its keys are passed over */
    bool any_header;
};

static char *line_origin(const struct place *place, unsigned line)
{
    return text_format("%s:%u", place->path, line);
}

static void on_mistake(void *context, unsigned line, const char *what)
{
    struct place *place = context;
    char *origin = line_origin(place, line);
    loader_mistake(place->loader, origin, "%s", what);
    free(origin);
}

static void unknown_section(struct place *place, const char *origin, const char *kind)
{
    char shown[TEXT_SHOWN_LEN];
    text_show_name(kind, shown);
    const char *nearest = section_nearest(kind);
    loader_mistake(place->loader, origin, "[%s]: unknown section%s%s%s", shown, nearest ? ", did you mean [" : "",
                   nearest ? nearest : "", nearest ? "]" : "");
}

static struct instance *header_instance(struct place *place, const char *origin, const char *header)
{
    size_t kind_len = strcspn(header, " \t");
    const char *name = header + kind_len + strspn(header + kind_len, " \t");
    const struct section *section = section_find(header, kind_len);
    if (!section) {
        char *kind = text_copy(header, kind_len);
        unknown_section(place, origin, kind);
        free(kind);
        return NULL;
    }
    if (section->named != (*name != '\0')) {
        loader_mistake(place->loader, origin,
                       section->named ? "[%s]: needs a name, as in [%s NAME]" : "[%s]: takes no name", section->name,
                       section->name);
        return NULL;
    }
    return loader_instance(place->loader, section, name, origin);
}

static void on_section(void *context, unsigned line, const char *header)
{
    struct place *place = context;
    char *origin = line_origin(place, line);
    place->any_header = true;
    place->instance = header ? header_instance(place, origin, header) : NULL;
    if (place->instance && place->instance->file_line > 0) {
        loader_mistake(place->loader, origin, "[%s]: this section stands at line %u already", header,
                       place->instance->file_line);
    } else if (place->instance) {
        place->instance->file_line = line;
    }
    free(origin);
}

static void unknown_key(struct place *place, const char *origin, const char *key)
{
    const struct section *section = place->instance->section;
    const char *name = place->instance->name;
    char shown[TEXT_SHOWN_LEN];
    text_show_name(key, shown);
    const char *nearest = option_nearest(section, key);
    loader_mistake(place->loader, origin, "%s.%s%s%s: unknown key%s%s", section->name, name ? name : "",
                   name ? "." : "", shown, nearest ? ", did you mean " : "", nearest ? nearest : "");
}

static void on_pair(void *context, unsigned line, const char *key, const char *value)
{
    struct place *place = context;
    if (!place->instance) {
        if (!place->any_header) {
            on_mistake(place, line, "the key stands before any [section]");
        }
        return;
    }
    char *origin = line_origin(place, line);
    const struct section *section = place->instance->section;
    const struct option *option = option_find(section, key);
    const struct option *from_file = option ? NULL : option_find_file(section, key);
    if (option || from_file) {
        loader_set(place->loader, LAYER_FILE, place->instance, option ? option : from_file, from_file != NULL, value,
                   origin);
    } else {
        unknown_key(place, origin, key);
    }
    free(origin);
}

void layer_file(struct loader *loader, const char *path, const char *asked_by)
{
    size_t len;
    char *bytes = read_whole(path, FILE_MAX, &len, NULL);
    if (!bytes && errno == ENOENT && !asked_by) {
        return;
    }
    if (!bytes) {
        loader_mistake(loader, asked_by ? asked_by : path, "cannot read %s: %s", path, strerror(errno));
        return;
    }
    if (len > FILE_MAX) {
        loader_mistake(loader, path, "the file is larger than 1MiB");
    } else {
        struct place place = {.loader = loader, .path = path};
        struct reader_events events = {&place, on_section, on_pair, on_mistake};
        reader_run(bytes, len, &events);
        loader->conf->file = text_format("%s", path);
    }
    explicit_bzero(bytes, len);
    free(bytes);
}
