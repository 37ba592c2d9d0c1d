#include "proxy/health/error_words.h"

#include <stdbool.h>
#include <string.h>

struct word {
    const char *text; /* with the '-'; a blank at the end stands for the end of the word */
    enum health_cause cause;
};

static const struct word words[] = {
    {"-LOADING ", CAUSE_LOADING},
    {"-MASTERDOWN ", CAUSE_LOADING},
    {"-READONLY ", CAUSE_ROLE},
    {"-BUSY ", CAUSE_BUSY},
    {"-NOAUTH ", CAUSE_AUTH},
    {"-WRONGPASS ", CAUSE_AUTH},
    {"-NOPERM ", CAUSE_AUTH},
    {"-MOVED ", CAUSE_CLUSTER},
    {"-ASK ", CAUSE_CLUSTER},
    {"-CLUSTERDOWN ", CAUSE_CLUSTER},
    {"-ERR max number of clients ", CAUSE_CAPACITY},
    {"-ERR max concurrent connections exceeded", CAUSE_CAPACITY},
    {"-ERR max requests limit exceeded", CAUSE_QUOTA},
    {"-ERR max daily request limit exceeded", CAUSE_QUOTA},
};

static bool begins_with(const uint8_t *reply, size_t len, const char *text)
{
    size_t text_len = strlen(text);

    return len >= text_len && !memcmp(reply, text, text_len);
}

enum health_cause error_words(const uint8_t *reply, size_t len)
{
    if (len < 5 || reply[0] != '-')
        return CAUSE_NONE;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (reply[1] == (uint8_t)words[i].text[1] && begins_with(reply, len, words[i].text))
            return words[i].cause;
    return CAUSE_NONE;
}
