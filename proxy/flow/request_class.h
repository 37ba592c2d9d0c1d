/*
 * What kind of request a command is, for those who watch: coarse, few, and each command in exactly one. Pure.
 */
#pragma once

#include <stdint.h>

struct command;

/* clang-format off */
#define REQUEST_CLASS_LIST(X)                                                                                          \
    X(read) X(write) X(script) X(limiter) X(tx) X(pubsub) X(blocking) X(admin) X(connection) X(other)

enum request_class {
    REQUEST_CLASS_NONE, /* our own, which nobody waits for */
#define X(name) REQUEST_CLASS_##name,
    REQUEST_CLASS_LIST(X)
#undef X
    REQUEST_CLASSES
};
/* clang-format on */

const char *request_class_name(enum request_class class); /* "read" */
enum request_class request_class_of(const struct command *row);
