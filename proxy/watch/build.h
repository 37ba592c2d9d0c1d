/*
 * What was built, out of what, and with which libraries it runs. Constant; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct build {
    const char *version, *commit, *type, *compiler;
};

/* {"version":"0.1.0","commit":"...",...} without a line end. */
void build_write_json(const struct build *build, FILE *out);
/* "libevent 2.1.12-stable, hiredis 0.14.1, OpenSSL 3.0.19 ..." in `text`, which is returned. */
const char *build_libraries(char *text, size_t len);

/* One library's, as the program runs with it; hiredis tells only what it was built with. */
const char *build_libevent(void);
const char *build_hiredis(void);
const char *build_openssl(void);
