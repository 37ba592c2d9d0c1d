#include "proxy/flow/request_class.h"

#include <stdbool.h>
#include <string.h>

#include "protocol/command.h"

const char *request_class_name(enum request_class class)
{
    static const char *const names[] = {"none",
#define X(name) #name,
                                        REQUEST_CLASS_LIST(X)
#undef X
    };

    return names[class];
}

static bool is_tx(const struct command *row)
{
    return row->id == CMD_MULTI || row->id == CMD_EXEC || row->id == CMD_DISCARD || row->id == CMD_WATCH ||
           row->id == CMD_UNWATCH;
}

/* EVAL, EVALSHA, FCALL and their _RO; what manages scripts is administration. */
static bool is_script(const struct command *row)
{
    return !strncmp(row->name, "EVAL", 4) || !strncmp(row->name, "FCALL", 5);
}

static bool is_of_connection(const struct command *row)
{
    static const char *const names[] = {"AUTH", "HELLO", "SELECT", "RESET",   "QUIT",
                                        "PING", "ECHO",  "CLIENT", "RESPGATE"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(row->name, names[i]))
            return true;
    return false;
}

enum request_class request_class_of(const struct command *row)
{
    if (row->cls == COMMAND_LIMIT)
        return REQUEST_CLASS_limiter;
    if (is_tx(row))
        return REQUEST_CLASS_tx;
    if (is_script(row))
        return REQUEST_CLASS_script;
    if (is_of_connection(row))
        return REQUEST_CLASS_connection;
    if (row->flags & COMMAND_PUBSUB)
        return REQUEST_CLASS_pubsub;
    if (row->flags & COMMAND_BLOCKING)
        return REQUEST_CLASS_blocking;
    if (row->flags & (COMMAND_ADMIN | COMMAND_DANGEROUS))
        return REQUEST_CLASS_admin;
    if (row->flags & COMMAND_WRITE)
        return REQUEST_CLASS_write;
    if (row->flags & COMMAND_READ)
        return REQUEST_CLASS_read;
    return REQUEST_CLASS_other;
}
