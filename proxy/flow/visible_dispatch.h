/*
 * KEYS, SCAN and RANDOMKEY of clients while rules may keep companions (limiter/visible.h): they go as a script that
 * leaves those out. Thread and owner: the client's worker.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct call;
struct client;
struct lane;

/* Of a command that settings say may name companions. False: it goes as it is. */
bool visible_dispatch(struct client *client, struct lane *lane, const struct call *call);
/* The length of what to send in its place in a tunnel, at the limiter's `out`; 0: the command as it is. */
size_t visible_encode_in_tunnel(struct client *client, const struct call *call);
