/* Arguments of one command, by number. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/flow/client.h"

bool call_arg(const struct call *call, uint32_t n, const uint8_t **arg, size_t *len)
{
    struct arg_cursor from_start = {0}, *cursor = call->cursor ? call->cursor : &from_start;

    if (!cursor->next || n < cursor->next) {
        request_args_start(&cursor->args, call->bytes, call->len);
        cursor->next = 0;
    }
    while (request_args_next(&cursor->args, arg, len))
        if (cursor->next++ == n)
            return true;
    return false;
}

bool arg_is(const uint8_t *arg, size_t len, const char *word)
{
    return len == strlen(word) && !strncasecmp((const char *)arg, word, len);
}

/* As the server reads integers: no blanks, no plus, no leading zeros. */
bool arg_number(const uint8_t *arg, size_t len, int64_t *number)
{
    bool negative = len && arg[0] == '-';
    size_t i = negative ? 1 : 0;
    uint64_t value = 0;

    if (i == len || len > 20 || (arg[i] == '0' && (len > 1)))
        return false;
    for (; i < len; i++) {
        if (arg[i] < '0' || arg[i] > '9' || value > (UINT64_MAX - 9) / 10)
            return false;
        value = value * 10 + (uint64_t)(arg[i] - '0');
    }
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *number = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}
