/*
 * What the files with rows of the option table share: units, and the sections they define for conf/options.c. Constant
 * data; any thread.
 */
#pragma once

#include "conf/options.h"

#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

#define ROWS(array) .options = array, .n_options = sizeof array / sizeof *array

extern const struct section listen_section, user_section, log_section;
extern const struct section backend_section, tls_section;
extern const struct section health_section, fallback_section;
extern const struct section limiter_section, limit_section;
extern const struct section stats_section;
