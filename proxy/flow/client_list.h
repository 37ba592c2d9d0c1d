/*
 * Clients as lines of text, in the field order of the server version behind the proxy (Redis documentation, CLIENT
 * LIST). Fields that only the server could know are 0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct client;
struct client_filter;

enum { CLIENT_LINE_MAX = 1024 };

/* One line with its line feed; returns its length. */
size_t client_line(const struct client *client, char line[CLIENT_LINE_MAX]);

bool client_matches(const struct client *client, const struct client_filter *filter);
