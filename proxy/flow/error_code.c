#include "proxy/flow/error_code.h"

#include <string.h>

static const char *const names[ERROR_CODES_N] = {
#define X(name) #name,
    ERROR_CODES(X)
#undef X
};

const char *error_code_name(enum error_code code)
{
    return names[code];
}

enum error_code error_code_of(const uint8_t *reply, size_t len)
{
    size_t word = 1;

    while (word < len && reply[word] != ' ' && reply[word] != '\r')
        word++;
    for (int code = 0; code < ERROR_CODE_OTHER; code++)
        if (strlen(names[code]) == word - 1 && !memcmp(names[code], reply + 1, word - 1))
            return (enum error_code)code;
    return ERROR_CODE_OTHER;
}

bool error_code_is_inability(enum error_code code)
{
    switch (code) {
    case ERROR_CODE_OOM:
    case ERROR_CODE_READONLY:
    case ERROR_CODE_LOADING:
    case ERROR_CODE_MISCONF:
    case ERROR_CODE_BUSY:
    case ERROR_CODE_MASTERDOWN:
    case ERROR_CODE_NOREPLICAS:
    case ERROR_CODE_CLUSTERDOWN:
    case ERROR_CODE_NOPERM:
        return true;
    default:
        return false;
    }
}
