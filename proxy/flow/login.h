/*
 * What happens on a new backend connection before any client's byte: AUTH, HELLO, CLIENT ID, SELECT, and a PING with a
 * nonce. One command at a time, each reply awaited, because servers from 7.2 on drop the reply to a failing AUTH that
 * is not first in a pipeline; the nonce proves that replies and commands are in step.
 *
 *   AUTH ──> HELLO ──> CLIENT ID ──> SELECT ──> PING nonce ──> done
 *   (each only when needed)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/health/handshake.h"

struct lane;

enum login_step { LOGIN_AUTH, LOGIN_HELLO, LOGIN_ID, LOGIN_SELECT, LOGIN_PING, LOGIN_DONE };

struct login {
    enum login_step step;
    char nonce[NONCE_ROOM];
};

/* The connection is made: sends the first command. */
void login_start(struct lane *lane);
/* One whole reply to the command that was sent last. */
void login_on_reply(struct lane *lane, const uint8_t *bytes, size_t len);
