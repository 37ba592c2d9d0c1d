#include "conf/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/address.h"
#include "conf/text.h"
#include "conf/url.h"

enum { RATE_PERIOD_MAX_H = 366 * 24 };
#define RATE_PERIOD_MAX_MS (RATE_PERIOD_MAX_H * INT64_C(3600000))

struct unit {
    const char *name;
    int64_t factor;
};

/* From small to large; the first has no name of its own where plain numbers are allowed. */
static const struct unit size_units[] = {{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {NULL, 0}};
static const struct unit duration_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};

static bool in_range(const struct option *option, int64_t number)
{
    return number >= option->min && number <= option->max;
}

static bool with_unit(const char *text, const struct unit *units, int64_t *number)
{
    size_t digits = strspn(text, "0123456789");
    long long count;
    if (!text_digits(text, digits, 10, &count) || (text[0] == '0' && digits > 1)) {
        return false;
    }
    if (strcmp(text, "0") == 0) {
        *number = 0;
        return true;
    }
    for (; units->name; units++) {
        if (strcmp(text + digits, units->name) == 0) {
            return !__builtin_mul_overflow(count, units->factor, number);
        }
    }
    return false;
}

static char *format_with_unit(int64_t number, const struct unit *units)
{
    const struct unit *fits = units;
    for (; units->name && number > 0; units++) {
        fits = number % units->factor == 0 ? units : fits;
    }
    return number == 0 ? text_format("0") : text_format("%lld%s", (long long)(number / fits->factor), fits->name);
}

/* "100/60s" */
static bool parse_rate(const struct option *option, const char *text, int64_t *count)
{
    static const struct option period = {.min = 1, .max = RATE_PERIOD_MAX_MS};
    size_t len = strcspn(text, "/");
    long long digits = 0;
    int64_t period_ms;
    if (!*text) {
        return true;
    }
    if (!text_digits(text, len, 10, &digits) || text[0] == '0' || !text[len]) {
        return false;
    }
    *count = digits;
    return in_range(option, *count) && with_unit(text + len + 1, duration_units, &period_ms) &&
           in_range(&period, period_ms);
}

struct rate value_rate(const char *text)
{
    struct rate rate = {0, 0};
    const char *slash = strchr(text, '/');
    if (slash) {
        rate.count = strtoll(text, NULL, 10);
        with_unit(slash + 1, duration_units, &rate.period_ms);
    }
    return rate;
}

static char *format_rate(const char *text)
{
    struct rate rate = value_rate(text);
    char *period = format_with_unit(rate.period_ms, duration_units);
    char *formatted = text_format("%lld/%s", (long long)rate.count, period);
    free(period);
    return formatted;
}

/* The place of `text` in a list like "error|warn|info"; -1 when it is not there. */
static int64_t word_index(const char *words, const char *text, size_t len)
{
    for (int64_t i = 0;; i++) {
        size_t word = strcspn(words, "|");
        if (word == len && strncmp(words, text, len) == 0) {
            return i;
        }
        if (!words[word]) {
            return -1;
        }
        words += word + 1;
    }
}

static bool parse_bool(const char *text, int64_t *number)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *number = i % 2;
            return true;
        }
    }
    return false;
}

/* Which commands exist is not known here; only their spelling is judged. */
static bool parse_names(const struct option *option, const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t names = 0, alone = 0;
    for (const char *at = text; *at;) {
        at += strspn(at, " \t");
        size_t len = strcspn(at, " \t");
        if (len == 0) {
            break;
        }
        size_t command = strspn(at, allowed);
        size_t sub = command < len && at[command] == '|' ? 1 + strspn(at + command + 1, allowed) : 0;
        if (command == 0 || sub == 1 || command + sub != len) {
            return false;
        }
        names++;
        alone += word_index(option->words, at, len) >= 0;
        at += len;
    }
    return names > 0 && (alone == 0 || names == 1);
}

static bool parse_address(const char *text, char why[VALUE_WHY_LEN])
{
    struct address address;
    if (!*text) {
        return true;
    }
    const char *wrong = address_parse(text, strlen(text), &address);
    if (!wrong && !address.host[0]) {
        wrong = "the host is missing, 0.0.0.0 or [::] listens everywhere";
    } else if (!wrong && address.port == 0) {
        wrong = "the port is missing";
    }
    snprintf(why, VALUE_WHY_LEN, "%s; allowed is host:port or [v6]:port", wrong ? wrong : "");
    return !wrong;
}

/* A URL or a password put here by mistake is not quoted: names have other bytes. */
static bool parse_variable(const char *text, char why[VALUE_WHY_LEN])
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    bool good = strspn(text, allowed) == strlen(text) && (*text < '0' || *text > '9');
    snprintf(why, VALUE_WHY_LEN, "is not the name of an environment variable");
    return good;
}

/* "a size from 1KiB to 512MiB (...)" */
static void allowed_range(const struct option *option, const char *what, const struct unit *units, const char *hint,
                          char out[VALUE_WHY_LEN])
{
    char *low = format_with_unit(option->min, units);
    char *high = format_with_unit(option->max, units);
    snprintf(out, VALUE_WHY_LEN, "a %s from %s to %s%s", what, low, high, hint);
    free(low);
    free(high);
}

void value_allowed(const struct option *option, char out[VALUE_WHY_LEN])
{
    static const struct unit plain[] = {{"", 1}, {NULL, 0}};
    switch (option->type) {
    case OPTION_TEXT:
        allowed_range(option, "text", plain, " bytes", out);
        return;
    case OPTION_NUMBER:
        allowed_range(option, "number", plain, "", out);
        return;
    case OPTION_SIZE:
        allowed_range(option, "size", size_units, " (bytes, or with KiB MiB GiB)", out);
        return;
    case OPTION_DURATION:
        allowed_range(option, "duration", duration_units, " (with ms s m h)", out);
        return;
    case OPTION_RATE:
        snprintf(out, VALUE_WHY_LEN, "a rate as in 100/60s: a number from %lld to %lld, and a duration from 1ms to %dh",
                 (long long)option->min, (long long)option->max, RATE_PERIOD_MAX_H);
        return;
    case OPTION_BOOL:
        snprintf(out, VALUE_WHY_LEN, "yes or no (or true false on off 1 0)");
        return;
    case OPTION_WORD:
        snprintf(out, VALUE_WHY_LEN, "one of %s", option->words);
        return;
    case OPTION_NAMES:
        snprintf(out, VALUE_WHY_LEN, "one of %s alone, or names separated by blanks", option->words);
        return;
    case OPTION_ADDRESS:
        snprintf(out, VALUE_WHY_LEN, "host:port or [v6]:port");
        return;
    case OPTION_MODE:
        snprintf(out, VALUE_WHY_LEN, "permissions in octal, 0000 to %04llo", (unsigned long long)option->max);
        return;
    case OPTION_VARIABLE:
        snprintf(out, VALUE_WHY_LEN, "the name of an environment variable");
        return;
    case OPTION_URL:
        snprintf(out, VALUE_WHY_LEN, "a redis://, rediss:// or unix:// URL");
        return;
    }
}

static bool parse_typed(const struct option *option, const char *text, int64_t *number, char why[VALUE_WHY_LEN])
{
    long long digits = 0;
    struct redis_url url;
    size_t len = strlen(text);
    switch (option->type) {
    case OPTION_TEXT:
        return in_range(option, (int64_t)len);
    case OPTION_NUMBER: {
        bool good = text_digits(text, len, 10, &digits) && (text[0] != '0' || len == 1);
        *number = digits;
        return good && in_range(option, *number);
    }
    case OPTION_SIZE:
        return with_unit(text, size_units, number) && in_range(option, *number);
    case OPTION_DURATION:
        return with_unit(text, duration_units, number) && in_range(option, *number);
    case OPTION_RATE:
        return parse_rate(option, text, number);
    case OPTION_BOOL:
        return parse_bool(text, number);
    case OPTION_WORD:
        *number = word_index(option->words, text, len);
        return *number >= 0;
    case OPTION_NAMES:
        return parse_names(option, text);
    case OPTION_ADDRESS:
        return parse_address(text, why);
    case OPTION_MODE: {
        bool good = len >= 3 && text_digits(text, len, 8, &digits);
        *number = digits;
        return good && in_range(option, *number);
    }
    case OPTION_VARIABLE:
        return parse_variable(text, why);
    case OPTION_URL:
        if (redis_url_parse(text, &url, why, VALUE_WHY_LEN)) {
            redis_url_free(&url);
            return true;
        }
        return false;
    }
    return false;
}

bool value_parse(const struct option *option, const char *text, int64_t *number, char why[VALUE_WHY_LEN])
{
    size_t len = strlen(text);
    *number = 0;
    why[0] = '\0';
    if (len == 0 && option->required) {
        snprintf(why, VALUE_WHY_LEN, "is empty, a value is required");
        return false;
    }
    if (len == 0 && option->inherits) {
        return true;
    }
    if (text_has_control(text, len, true) || (!option->secret && !text_is_utf8(text, len))) {
        snprintf(why, VALUE_WHY_LEN, "holds a control byte or is not UTF-8");
        return false;
    }
    if (parse_typed(option, text, number, why)) {
        return true;
    }
    if (why[0]) {
        return false;
    }
    char allowed[VALUE_WHY_LEN], shown[TEXT_SHOWN_LEN];
    value_allowed(option, allowed);
    text_show_value(text, shown);
    int room = VALUE_WHY_LEN - TEXT_SHOWN_LEN - 16;
    if (option->secret) {
        snprintf(why, VALUE_WHY_LEN, "is not %.*s", room, allowed);
    } else {
        snprintf(why, VALUE_WHY_LEN, "\"%s\" is not %.*s", shown, room, allowed);
    }
    return false;
}

char *value_format(const struct option *option, const char *text, int64_t number)
{
    if (option->type == OPTION_URL && *text) {
        size_t room = strlen(text) + sizeof "rediss://***?***";
        char *redacted = text_grow(NULL, room);
        redis_url_redact(text, redacted, room);
        return redacted;
    }
    if (option->secret) {
        return text_format("%s", *text ? "***" : "");
    }
    switch (option->type) {
    case OPTION_NUMBER:
        return text_format("%lld", (long long)number);
    case OPTION_SIZE:
        return format_with_unit(number, size_units);
    case OPTION_DURATION:
        return format_with_unit(number, duration_units);
    case OPTION_RATE:
        return *text ? format_rate(text) : text_format("%s", "");
    case OPTION_BOOL:
        return text_format("%s", number ? "yes" : "no");
    case OPTION_MODE:
        return text_format("%04llo", (unsigned long long)number);
    case OPTION_TEXT:
    case OPTION_WORD:
    case OPTION_NAMES:
    case OPTION_ADDRESS:
    case OPTION_VARIABLE:
    case OPTION_URL:
        break;
    }
    return text_format("%s", text);
}
