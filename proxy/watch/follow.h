/*
 * Those who follow /events: each gets what the journal keeps, then every entry as it comes, one a line, until it leaves
 * or does not read. Thread and owner: main.
 */
#pragma once

struct evhttp_request;
struct follow;
struct journal;

struct follow *follow_new(struct journal *journal); /* NULL: no memory */
void follow_free(struct follow *follow);            /* ends all; NULL is fine */

/* Takes over the request; beyond a few it is refused. Its headers are set. */
void follow_add(struct follow *follow, struct evhttp_request *request);
