/*
 * Pub/sub elements as a server sends them (Redis documentation, Pub/Sub and RESP3): messages come unasked,
 * confirmations of (un)subscribing answer a command and carry the number of subscriptions left.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pubsub_kind {
    PUBSUB_OTHER,        /* no pub/sub element */
    PUBSUB_MESSAGE,      /* message, pmessage, smessage */
    PUBSUB_SUBSCRIBED,   /* subscribe, psubscribe, ssubscribe */
    PUBSUB_UNSUBSCRIBED, /* unsubscribe, punsubscribe, sunsubscribe */
};

enum pubsub_family { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD };

struct pubsub_element {
    enum pubsub_kind kind;
    enum pubsub_family family;
};

/* Judges by the first string of an array or push; 32 bytes of it are always enough. */
struct pubsub_element pubsub_classify(const uint8_t *bytes, size_t len);

/* The number at the end of a confirmation; false when `bytes`, its last part, do not end in a whole one. */
bool pubsub_count(const uint8_t *bytes, size_t len, uint64_t *count);
