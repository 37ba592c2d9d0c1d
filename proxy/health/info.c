#include "proxy/health/info.h"

#include <stdio.h>
#include <string.h>

#include "conf/text.h"

enum { SECOND_US = 1000000 };

#define LATEST_US (INT64_C(1) << 53) /* where a script's doubles end */

void info_value(const char *info, const char *key, char *value, size_t len)
{
    const char *at = strstr(info, key);

    value[0] = 0;
    if (at)
        snprintf(value, len, "%.*s", (int)strcspn(at + strlen(key), "\r\n"), at + strlen(key));
}

static int64_t read_below(const char *text, int64_t end)
{
    long long number;

    return text_digits(text, strlen(text), 10, &number) && number < end ? number : CLOCK_UNTOLD;
}

int64_t clock_of_info(const char *info)
{
    char value[24];

    info_value(info, "server_time_usec:", value, sizeof(value));
    return read_below(value, LATEST_US);
}

int64_t clock_of_time(const char *seconds, const char *microseconds)
{
    int64_t s = read_below(seconds, LATEST_US / SECOND_US), us = read_below(microseconds, SECOND_US);

    return s == CLOCK_UNTOLD || us == CLOCK_UNTOLD ? CLOCK_UNTOLD : s * SECOND_US + us;
}
