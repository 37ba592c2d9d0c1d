#include "limiter/script.h"

#include <assert.h>

/* A file that LIMIT_SCRIPTS lacks does not compile; a name without a file fails the assertion below. */
static const struct limit_script plain[] = {
#define SCRIPT(name, sha, upstash_sha, upstash_line, text) [SCRIPT_##name] = {#name, text, sizeof(text) - 1, sha},
#include "limiter/scripts.inc"
#undef SCRIPT
};

static const struct limit_script upstash[] = {
#define SCRIPT(name, sha, upstash_sha, upstash_line, text)                                                             \
    [SCRIPT_##name] = {#name, upstash_line text, sizeof(upstash_line text) - 1, upstash_sha},
#include "limiter/scripts.inc"
#undef SCRIPT
};

enum {
#define SCRIPT(name, sha, upstash_sha, upstash_line, text) FILE_##name,
#include "limiter/scripts.inc"
#undef SCRIPT
    FILE_COUNT,
};
_Static_assert((int)FILE_COUNT == (int)SCRIPT_COUNT, "a file for each of LIMIT_SCRIPTS");

const struct limit_script *limit_script(enum limit_script_id id, enum limit_dialect dialect)
{
    assert(id < SCRIPT_COUNT);
    return dialect == DIALECT_UPSTASH ? &upstash[id] : &plain[id];
}
