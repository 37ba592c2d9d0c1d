/*
 * The data path's view of the configuration: plain numbers and strings, read once at start. Shared by all threads,
 * read-only; made and freed by main.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/resp.h"

struct conf;
struct backend;

enum auth_mode { AUTH_NONE, AUTH_PASSWORD, AUTH_BACKEND };

struct user {
    char *name;
    uint8_t digest[32]; /* SHA-256 of the password; the text is not kept */
};

struct settings {
    struct backend *backend;
    const char *listen_address; /* owned by the configuration, as all strings here */
    const char *unix_socket;
    unsigned unix_socket_mode;
    unsigned workers;
    unsigned max_clients;
    enum auth_mode auth;
    struct user *users;
    size_t n_users;
    uint64_t login_timeout_ms, idle_timeout_ms, drain_timeout_ms;
    struct request_limits limits;
    size_t query_buffer, stream_threshold;
    size_t reply_buffer, reply_buffer_max;
    uint64_t slow_client_timeout_ms;
    unsigned pipeline_depth;
    size_t script_cache;
    bool *refused; /* by command index */
    unsigned connections, max_connections;
    uint64_t connect_timeout_ms, command_timeout_ms, lane_idle_timeout_ms;
    uint64_t queue_timeout_ms;
    bool close_on_unknown;
};

/* False with a message in `error` when values contradict each other. */
bool settings_init(struct settings *settings, const struct conf *conf, char *error, size_t error_len);
void settings_finish(struct settings *settings);
