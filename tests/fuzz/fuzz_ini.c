/*
 * Any bytes as a configuration file, with an environment and --set options behind the first \x01: the reader tells of
 * every line once, and hands on what stands there; conf_load() either names its mistakes in printable lines or builds a
 * configuration that, printed and read again, is the same.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/reader.h"
#include "conf/text.h"

enum { LIST_MAX = 64, PRINTED_MAX = 2048 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The file's bytes, and the line the reader spoke of last. */
struct model {
    const char *bytes, *end;
    unsigned line;
    unsigned section_line;
};

/* Line `n` as it stands in the file, with neither byte order mark nor line end. */
static const char *line_at(const struct model *model, unsigned n, size_t *len)
{
    const char *line = model->bytes;
    for (unsigned i = 1; i < n; i++) {
        line = memchr(line, '\n', (size_t)(model->end - line));
        assert(line);
        line++;
    }
    const char *end = memchr(line, '\n', (size_t)(model->end - line));
    *len = (size_t)((end ? end : model->end) - line);
    *len -= end && *len > 0 && line[*len - 1] == '\r';
    if (n == 1 && *len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3;
        *len -= 3;
    }
    return line;
}

static void advance(struct model *model, unsigned line, bool may_repeat)
{
    assert(line > model->line || (may_repeat && line == model->line && line == model->section_line));
    model->line = line;
}

static void on_section(void *context, unsigned line, const char *header)
{
    struct model *model = context;
    size_t len;
    advance(model, line, false);
    model->section_line = line;
    const char *text = line_at(model, line, &len);
    if (header) {
        size_t header_len = strlen(header);
        assert(header_len + 2 <= len && text[0] == '[' && memcmp(text + 1, header, header_len) == 0);
        assert(text[1 + header_len] == ']');
    }
}

static void on_pair(void *context, unsigned line, const char *key, const char *value)
{
    struct model *model = context;
    size_t len, key_len = strlen(key), value_len = strlen(value);
    advance(model, line, false);
    const char *text = line_at(model, line, &len);
    size_t cut = 0;
    while (text[cut] != '=' && text[cut] != ':') {
        cut++;
        assert(cut < len);
    }
    size_t key_end = cut, start = cut + 1;
    while (key_end > 0 && (text[key_end - 1] == ' ' || text[key_end - 1] == '\t')) {
        key_end--;
    }
    while (start < len && (text[start] == ' ' || text[start] == '\t')) {
        start++;
    }
    while (len > start && (text[len - 1] == ' ' || text[len - 1] == '\t')) {
        len--;
    }
    assert(key_len == key_end && memcmp(key, text, key_len) == 0 && key_len > 0 && key_len <= READER_NAME_MAX);
    assert(value_len == len - start && memcmp(value, text + start, value_len) == 0);
}

static void on_mistake(void *context, unsigned line, const char *what)
{
    advance(context, line, true);
    assert(!strstr(what, "INI library"));
}

static void check_reader(const char *bytes, size_t len)
{
    struct model model = {.bytes = bytes, .end = bytes + len};
    struct reader_events events = {&model, on_section, on_pair, on_mistake};
    reader_run(bytes, len, &events);
}

/* Lines of `text` as a NULL-terminated list; cuts `text` up. */
static size_t split(char *text, char *list[LIST_MAX])
{
    size_t n = 0;
    for (char *line = strtok(text, "\n"); line && n + 1 < LIST_MAX; line = strtok(NULL, "\n")) {
        list[n++] = line;
    }
    list[n] = NULL;
    return n;
}

static char *printed(const struct conf *conf, enum conf_format format)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert(out);
    conf_print(conf, out, format, false);
    fclose(out);
    return text;
}

static void check_printable(const char *text)
{
    char *copy = strdup(text);
    assert(copy);
    for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n")) {
        assert(!text_has_control(line, strlen(line), true));
    }
    free(copy);
}

/*
 * "key = value" as printed, with a secret's true value in the place of its stars. NULL for a URL that a url_env gives:
 * both at once would be a mistake.
 */
static char *as_set(const struct conf *conf, char *line)
{
    char *value = strstr(line, " =");
    assert(value);
    char *key_end = value;
    while (key_end > line && key_end[-1] == ' ') {
        key_end--;
    }
    *key_end = '\0';
    value += value[2] == ' ' ? 3 : 2;
    char *section = strdup(line);
    assert(section);
    char *name = strchr(section, '.'), *key = strrchr(section, '.');
    assert(name);
    bool named = name != key;
    *name++ = *key++ = '\0';
    bool secret = strcmp(key, "password") == 0 || strcmp(key, "url") == 0;
    bool twice = strcmp(key, "url") == 0 && *conf_string(conf, section, name, "url_env");
    char *set = twice
                    ? NULL
                    : text_format("%s=%s", line, secret ? conf_string(conf, section, named ? name : NULL, key) : value);
    free(section);
    return set;
}

/* A URL that shadows the one of a url_env cannot be said by --set alone. */
static bool shadows_variable(const struct conf *conf)
{
    bool found = false;
    for (size_t i = 0; i < conf_names(conf, "backend"); i++) {
        const char *name = conf_name_at(conf, "backend", i);
        bool named = *conf_string(conf, "backend", name, "url_env");
        bool from_it = strstr(conf_origin(conf, "backend", name, "url"), " via ");
        found = found || named != from_it;
    }
    return found;
}

/* `env` without what speaks to us: only what a url_env names is left to be read. */
static void check_reads_back(const struct conf *conf, char *env[LIST_MAX])
{
    char *foreign[LIST_MAX];
    size_t n_foreign = 0;
    for (size_t i = 0; env[i]; i++) {
        if (strncmp(env[i], "RESPGATE_", 9) != 0) {
            foreign[n_foreign++] = env[i];
        }
    }
    foreign[n_foreign] = NULL;
    char *text = printed(conf, CONF_TEXT);
    char *sets[PRINTED_MAX];
    size_t n = 0;
    char *next = text;
    for (char *line = strsep(&next, "\n"); line && *line; line = strsep(&next, "\n")) {
        assert(n < PRINTED_MAX);
        sets[n] = as_set(conf, line);
        n += sets[n] != NULL;
    }
    struct conf_sources sources = {
        .file = "/dev/null", .environ_ = foreign, .sets = (const char *const *)sets, .n_sets = n};
    char *errors;
    struct conf *again = conf_load(&sources, &errors);
    assert(again);
    assert(strcmp(conf_digest(conf), conf_digest(again)) == 0);
    for (size_t i = 0; i < n; i++) {
        free(sets[i]);
    }
    conf_free(again);
    free(text);
}

static void check_load(const char *file, char *rest)
{
    char *env[LIST_MAX], *sets[LIST_MAX];
    char *sets_text = strchr(rest, '\x01');
    if (sets_text) {
        *sets_text++ = '\0';
    }
    split(rest, env);
    size_t n_sets = sets_text ? split(sets_text, sets) : 0;
    struct conf_sources sources = {.file = file, .environ_ = env, .sets = (const char *const *)sets, .n_sets = n_sets};
    char *errors = NULL;
    struct conf *conf = conf_load(&sources, &errors);
    assert((conf == NULL) == (errors != NULL));
    if (!conf) {
        assert(*errors);
        check_printable(errors);
        free(errors);
        return;
    }
    char *json = printed(conf, CONF_JSON);
    assert(text_is_utf8(json, strlen(json)));
    check_printable(json);
    free(json);
    if (conf_names(conf, "backend") + conf_names(conf, "user") < 75 && !shadows_variable(conf)) {
        check_reads_back(conf, env);
    }
    conf_free(conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[32];
    if (fd < 0) {
        fd = memfd_create("respgate.ini", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    /* KEY_file would read whatever path the fuzzer makes up. */
    static const char *const by_file[] = {"url_file", "URL_FILE", "password_file", "PASSWORD_FILE"};
    for (size_t i = 0; i < sizeof by_file / sizeof *by_file; i++) {
        if (memmem(data, size, by_file[i], strlen(by_file[i]))) {
            return 0;
        }
    }
    const uint8_t *cut = memchr(data, '\x01', size);
    size_t len = cut ? (size_t)(cut - data) : size;
    char *bytes = text_copy((const char *)data, len);
    char *rest = cut ? text_copy((const char *)cut + 1, size - len - 1) : text_copy("", 0);
    check_reader(bytes, len);
    if (fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, bytes, len, 0) == (ssize_t)len) {
        check_load(path, rest);
    }
    free(bytes);
    free(rest);
    return 0;
}
