/*
 * What every connection to a backend begins with has in common, be it a lane's or a check's: a nonce for its PING, and
 * the words of a refusal, fit for a log line and a reply. Pure but for the random numbers.
 */
#pragma once

#include <stddef.h>

enum { NONCE_ROOM = 17 };

/* It only has to differ from what a stale reply would carry. */
void handshake_nonce(char nonce[NONCE_ROOM]);

/* An error's text without the '-' and the line end, cut to `room`, without what a server quotes of our own commands;
 * `password` may be NULL. */
void handshake_refusal(char *text, size_t room, const char *error, size_t len, const char *password);
