/*
 * What the backend says about itself in its HELLO reply (Redis documentation, HELLO), kept per pool and given to
 * clients with their own id. Values are passed on as the bytes that came, so modules and fields of later versions
 * survive.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocol/reply.h"

struct hello {
    uint8_t *reply; /* the backend's reply in the pool's RESP version; NULL when none is known */
    size_t len;
    char version[16]; /* "7.0.15"; "" when not known */
};

/* Keeps a copy of a HELLO reply, if it is one; returns the connection's id on the backend, 0 when there is none. */
uint64_t hello_keep(struct hello *hello, const uint8_t *reply, size_t len);
void hello_finish(struct hello *hello);

/* Writes the reply for a client: the backend's fields, but this id. */
void hello_write(const struct hello *hello, struct reply_writer *w, uint64_t client_id);
