#include "protocol/pubsub.h"

#include <string.h>

static const struct {
    const char *head; /* the first string with its length line */
    struct pubsub_element element;
} elements[] = {
    {"$7\r\nmessage\r\n", {PUBSUB_MESSAGE, PUBSUB_CHANNEL}},
    {"$8\r\npmessage\r\n", {PUBSUB_MESSAGE, PUBSUB_PATTERN}},
    {"$8\r\nsmessage\r\n", {PUBSUB_MESSAGE, PUBSUB_SHARD}},
    {"$9\r\nsubscribe\r\n", {PUBSUB_SUBSCRIBED, PUBSUB_CHANNEL}},
    {"$10\r\npsubscribe\r\n", {PUBSUB_SUBSCRIBED, PUBSUB_PATTERN}},
    {"$10\r\nssubscribe\r\n", {PUBSUB_SUBSCRIBED, PUBSUB_SHARD}},
    {"$11\r\nunsubscribe\r\n", {PUBSUB_UNSUBSCRIBED, PUBSUB_CHANNEL}},
    {"$12\r\npunsubscribe\r\n", {PUBSUB_UNSUBSCRIBED, PUBSUB_PATTERN}},
    {"$12\r\nsunsubscribe\r\n", {PUBSUB_UNSUBSCRIBED, PUBSUB_SHARD}},
};

struct pubsub_element pubsub_classify(const uint8_t *bytes, size_t len)
{
    static const struct pubsub_element other = {PUBSUB_OTHER, PUBSUB_CHANNEL};

    /* All of them have 3 or 4 elements. */
    if (len < 4 || (bytes[0] != '*' && bytes[0] != '>') || bytes[2] != '\r')
        return other;
    for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++) {
        size_t head_len = strlen(elements[i].head);
        if (len >= 4 + head_len && !memcmp(bytes + 4, elements[i].head, head_len))
            return elements[i].element;
    }
    return other;
}

bool pubsub_count(const uint8_t *bytes, size_t len, uint64_t *count)
{
    uint64_t value = 0, unit = 1;
    size_t i = len;

    if (len < 4 || bytes[len - 1] != '\n' || bytes[len - 2] != '\r')
        return false;
    for (i = len - 2; i > 0 && bytes[i - 1] >= '0' && bytes[i - 1] <= '9' && len - i < 20; i--) {
        value += unit * (uint64_t)(bytes[i - 1] - '0');
        unit *= 10;
    }
    if (i == len - 2 || i == 0 || bytes[i - 1] != ':')
        return false;
    *count = value;
    return true;
}
