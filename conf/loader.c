#include "conf/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/text.h"
#include "conf/value.h"

enum { SECRET_MAX = 16384, NAME_MAX_LEN = 32 };

void loader_mistake(struct loader *loader, const char *origin, const char *format, ...)
{
    if (loader->n_mistakes++ >= MISTAKES_SHOWN) {
        return;
    }
    char *what = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&what, format, args);
    va_end(args);
    char *before = loader->mistakes;
    loader->mistakes = text_format("%s%s%s: %s", before ? before : "", before ? "\n" : "", origin, len < 0 ? "" : what);
    free(before);
    free(what);
}

static bool name_good(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= NAME_MAX_LEN && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len &&
           name[0] != '-' && name[len - 1] != '-';
}

struct instance *loader_instance(struct loader *loader, const struct section *section, const char *name,
                                 const char *origin)
{
    struct instance *instance = NULL;
    if (section->named && !name_good(name)) {
        char shown[TEXT_SHOWN_LEN];
        text_show_name(name, shown);
        loader_mistake(loader, origin, "%s.%s: the name is not 1 to %d of a-z, 0-9 and - (neither first nor last)",
                       section->name, shown, NAME_MAX_LEN);
        return NULL;
    }
    instance = store_find(loader->conf, section, name);
    if (!instance && loader->conf->n_instances >= INSTANCES_MAX) {
        loader_mistake(loader, origin, "%s: more than %d sections", section->name, INSTANCES_MAX);
        return NULL;
    }
    return instance ? instance : store_add(loader->conf, section, name, origin);
}

static void loader_warning(struct loader *loader, const char *origin, const char *key, const char *what)
{
    char *before = loader->conf->warnings;
    loader->conf->warnings = text_format("%s%s%s: %s: %s", before ? before : "", before ? "\n" : "", origin, key, what);
    free(before);
}

static mode_t mode_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_mode : 0;
}

char *read_whole(const char *path, size_t max, size_t *len, mode_t *mode)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return NULL;
    }
    char *bytes = text_grow(NULL, max + 2);
    *len = 0;
    ssize_t n = 1;
    while (n != 0 && *len <= max) {
        n = read(fd, bytes + *len, max + 1 - *len);
        if (n < 0 && errno != EINTR) {
            break;
        }
        *len += n > 0 ? (size_t)n : 0;
    }
    int error = errno;
    if (mode) {
        *mode = mode_of(fd);
    }
    close(fd);
    bytes[*len] = '\0';
    if (n < 0) {
        explicit_bzero(bytes, *len);
        free(bytes);
        errno = error;
        return NULL;
    }
    return bytes;
}

/*
 * The secret that a KEY_file names, without one trailing newline. Neither path nor content is ever told: whoever
 * confuses KEY with KEY_file has put the secret where the path belongs.
 */
static char *secret_read(const char *path, const char **wrong, bool *exposed)
{
    size_t len;
    mode_t mode = 0;
    char *bytes = *path ? read_whole(path, SECRET_MAX, &len, &mode) : NULL;
    *exposed = mode & S_IWOTH;
    if (!bytes) {
        *wrong = *path ? strerror(errno) : "its name is empty";
        return NULL;
    }
    size_t end = len;
    end -= end > 0 && bytes[end - 1] == '\n';
    end -= end < len && end > 0 && bytes[end - 1] == '\r';
    *wrong = len > SECRET_MAX ? "it is larger than 16KiB" : memchr(bytes, '\0', len) ? "it holds a NUL byte" : NULL;
    *wrong = !*wrong && end == 0 ? "it is empty" : *wrong;
    bytes[end] = '\0';
    if (*wrong) {
        explicit_bzero(bytes, len);
        free(bytes);
        return NULL;
    }
    return bytes;
}

void loader_set(struct loader *loader, enum layer layer, struct instance *instance, const struct option *option,
                bool from_file, const char *value, const char *origin)
{
    struct setting *setting = &instance_cell(instance, option)->by[layer];
    char *key = cell_key(instance, option);
    char *text = NULL;
    const char *wrong = NULL;
    bool exposed = false;
    char why[VALUE_WHY_LEN];
    if (setting->origin) {
        loader_mistake(loader, origin, "%s: set twice, first by %s", key, setting->origin);
        free(key);
        return;
    }
    setting->origin = text_format("%s", origin);
    text = from_file ? secret_read(value, &wrong, &exposed) : text_format("%s", value);
    if (!text) {
        loader_mistake(loader, origin, "%s: the file named here cannot be used: %s", key, wrong);
    } else if (!value_parse(option, text, &setting->number, why)) {
        loader_mistake(loader, origin, "%s: %s", key, why);
        text_wipe(text);
    } else {
        setting->text = text;
    }
    /* That others may read it is how containers mount secrets; that others may write it is how a proxy is hijacked. */
    if (setting->text && exposed) {
        loader_warning(loader, origin, key, "others may write to the file named here");
    }
    free(key);
}
