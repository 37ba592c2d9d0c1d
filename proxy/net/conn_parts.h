/*
 * What conn.c (life, input) and conn_out.c (output) need of each other, and nobody else includes. Thread and owner: as
 * conn.h says.
 */
#pragma once

#include "proxy/net/conn.h"

/* Which readiness to wait for. Over TLS, open connections wait for what their state calls for instead. */
void conn_arm(struct conn *conn, bool read, bool write);

/* To be flushed at the end of the turn, unless readiness to write will do it. */
void conn_mark_dirty(struct conn *conn);
void conn_unmark_dirty(struct conn *conn);

/* Tells the owner of the loss of a TLS connection. */
void conn_lose_tls(struct conn *conn);
