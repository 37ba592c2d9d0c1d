/*
 * A configuration for one test: a file t.ini, an environment and --set options go in, a struct conf or the exact list
 * of mistakes comes out. Each test program works in a folder of its own, which conf_case_leave() removes.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define BACKEND "[backend a]\nurl = redis://h\n"
enum { LIST_MAX = 32 };

static inline void write_file(const char *path, const char *bytes, size_t len)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* "A=1\nB=2" as a NULL-terminated list; cuts `text` up. */
static inline size_t split(char *text, char *list[LIST_MAX])
{
    size_t n = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(n + 1 < LIST_MAX);
        list[n++] = line;
    }
    list[n] = NULL;
    return n;
}

/* `ini` becomes t.ini (NULL: an empty one); `env` and `sets` are lists with a '\n' between their members. */
static inline struct conf *load(const char *ini, const char *env, const char *sets, char **errors)
{
    char env_text[4096], sets_text[4096];
    char *env_list[LIST_MAX], *sets_list[LIST_MAX];
    snprintf(env_text, sizeof env_text, "%s", env ? env : "");
    snprintf(sets_text, sizeof sets_text, "%s", sets ? sets : "");
    split(env_text, env_list);
    size_t n_sets = split(sets_text, sets_list);
    write_file("t.ini", ini ? ini : "", ini ? strlen(ini) : 0);
    struct conf_sources sources = {
        .file = "t.ini", .environ_ = env_list, .sets = (const char *const *)sets_list, .n_sets = n_sets};
    return conf_load(&sources, errors);
}

static inline struct conf *good(const char *ini, const char *env, const char *sets)
{
    char *errors;
    struct conf *conf = load(ini, env, sets, &errors);
    if (!conf) {
        fail_msg("%s", errors);
    }
    assert_null(errors);
    return conf;
}

/* All mistakes, exactly these, one a line. */
static inline void wrong(const char *ini, const char *env, const char *sets, const char *want)
{
    char *errors = NULL;
    struct conf *conf = load(ini, env, sets, &errors);
    conf_free(conf);
    assert_null(conf);
    assert_non_null(errors);
    if (strcmp(errors, want) != 0) {
        size_t same = 0;
        while (errors[same] == want[same]) {
            same++;
        }
        fail_msg("at byte %zu: \"%s\", not \"%s\"", same, errors + same, want + same);
    }
    free(errors);
}

/* What conf_print() writes, or without a conf the reference; the caller frees it. */
static inline char *printed(const struct conf *conf, enum conf_format format, bool origins)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    if (conf) {
        conf_print(conf, out, format, origins);
    } else {
        conf_print_reference(out);
    }
    fclose(out);
    return text;
}

static inline bool conf_case_enter(void)
{
    static char folder[] = "/tmp/respgate-conf-XXXXXX";
    return mkdtemp(folder) && chdir(folder) == 0;
}

/* `files` are the names the tests wrote besides t.ini. */
static inline bool conf_case_leave(const char *const *files, size_t n)
{
    char *folder = getcwd(NULL, 0);
    unlink("t.ini");
    for (size_t i = 0; i < n; i++) {
        unlink(files[i]);
    }
    bool gone = folder && rmdir(folder) == 0;
    free(folder);
    return gone;
}
