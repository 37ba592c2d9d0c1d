/*
 * Is this the reply that must come now? The only place that decides between right, allowed under a fault, and wrong.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

/* False when the connection was given up; the bytes stay the client's. */
bool verdict_reply(struct client *c, const uint8_t *reply, size_t len);

/* Bytes that are no RESP reply at all. */
void verdict_not_resp(struct client *c);

/* The peer closed: fine, allowed under faults, or replies are missing. */
void verdict_closed(struct client *c);

/* Nothing arrived for too long. */
void verdict_stalled(struct client *c);
