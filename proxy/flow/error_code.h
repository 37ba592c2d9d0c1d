/*
 * The first word of an error reply, a backend's or our own, as a closed list: whatever else a backend or a script calls
 * its errors is OTHER, so that nobody can make series. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* clang-format off */
#define ERROR_CODES(X)                                                                                                 \
    X(ERR) X(WRONGTYPE) X(NOSCRIPT) X(NOAUTH) X(WRONGPASS) X(NOPERM) X(OOM) X(BUSY) X(LOADING) X(READONLY)             \
    X(MISCONF) X(EXECABORT) X(MOVED) X(ASK) X(CLUSTERDOWN) X(TRYAGAIN) X(CROSSSLOT) X(BUSYGROUP) X(NOGROUP)            \
    X(BUSYKEY) X(UNBLOCKED) X(MASTERDOWN) X(NOREPLICAS) X(NOPROTO) X(RGUNAVAIL)      \
    X(RGUNKNOWN) X(RGSTATE) X(RGLIMIT) X(RGDENIED) X(OTHER)

enum error_code {
#define X(name) ERROR_CODE_##name,
    ERROR_CODES(X)
#undef X
    ERROR_CODES_N
};
/* clang-format on */

/* Who said it. */
enum error_origin { ERROR_OF_BACKEND, ERROR_OF_RESPGATE, ERROR_ORIGINS };

const char *error_code_name(enum error_code code); /* "WRONGTYPE" */
/* Of a reply from its '-' on. */
enum error_code error_code_of(const uint8_t *reply, size_t len);
/* It says nothing of the command, but that the backend, or the user, is not able to run it. */
bool error_code_is_inability(enum error_code code);
